"""A study's runs as a table: LaTeX, CSV, Markdown, HTML and text."""

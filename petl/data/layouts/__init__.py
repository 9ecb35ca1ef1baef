"""One file for each published folder layout: a function from a folder to a Corpus."""

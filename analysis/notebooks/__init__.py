"""Notebooks, and how one becomes a page."""

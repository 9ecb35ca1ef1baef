"""Synthetic sounds for the quickstart study and for pre-training the small AST."""

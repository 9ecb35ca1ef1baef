"""One task in, one run directory out."""

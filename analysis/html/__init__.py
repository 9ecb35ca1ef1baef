"""A study as one page that is complete in itself: no file beside it, no network."""

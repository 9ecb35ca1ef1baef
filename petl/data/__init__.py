"""Files -> arrays and splits: read a corpus, compute and cache what a model reads, split it."""

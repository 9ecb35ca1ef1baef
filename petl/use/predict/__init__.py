"""What trained runs say about sound files: windows, ensembles, groups of files, and scores."""

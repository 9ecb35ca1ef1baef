"""What runs on a node: a job of an array."""

"""What runs on a node: one job of an array, and how it is told to stop."""

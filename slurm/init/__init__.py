"""`petl init`: studies from sounds and presets, and the profile of a cluster."""

"""Many finished runs in two files: the format, writing it, and packing folders into it."""

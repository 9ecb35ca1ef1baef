"""Synthetic clips to listen to and to look at: sounds, pictures, and a page of them."""

"""Generators of spectrograms: what they are, what measures them, the way back to sound."""

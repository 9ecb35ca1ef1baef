"""Measures of synthetic clips beside real ones, and of real ones beside themselves."""

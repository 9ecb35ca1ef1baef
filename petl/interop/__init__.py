"""The outside world's formats."""

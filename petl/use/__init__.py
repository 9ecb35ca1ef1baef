"""Trained runs: evaluate them, predict with them, export them, import the paper's checkpoints."""

"""Run directories -> one DataFrame -> tables and figures. Reads runs, never changes them; no torch.

>>> from analysis import load
>>> frame = load("experiments/quickstart.yaml")
"""

from analysis.collect import history, load, synthetic

__all__ = ["history", "load", "synthetic"]

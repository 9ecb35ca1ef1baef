"""Run directories -> one DataFrame -> tables and figures. Reads runs, never changes them; no torch.

>>> from analysis import load
>>> frame = load(load_study("experiments/quickstart.yaml"), Path("runs"))
"""

from analysis.collect import load

__all__ = ["load"]

"""What is written on every picture of runs: axis labels, made-up numbers, missing runs."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from analysis.collect import synthetic
from analysis.measure import Measure
from petl.picture import annotate

MADE_UP = "SYNTHETIC: made-up numbers, measured by nobody"
LISTED = 4


def in_words(measure: Measure) -> str:
    split, _, name = measure.column.partition(".")
    where = {"test": "Test", "val": "Validation", "train": "Training"}.get(split.partition("_")[0])
    words = " ".join(filter(None, (where, name.replace("_", " ")))).capitalize()
    return f"{words} (%)" if measure.percent else words


def sign(figure: Figure, frame: pd.DataFrame, *notes: str) -> Figure:
    """Above it, that numbers are made up; below it, what its signs mean and which runs it lacks."""
    return annotate(figure, MADE_UP if synthetic(frame) else "", [*notes, *missing(frame)])


def missing(frame: pd.DataFrame) -> list[str]:
    """`3 of 30 runs are missing: LoRA (2), FFT (1)`; nothing if none is."""
    lacking = frame[frame["state"] != "done"]
    if lacking.empty:
        return []
    counts = lacking["method_label"].value_counts(sort=False)
    some = ", ".join(f"{label} ({count})" for label, count in counts.iloc[:LISTED].items())
    more = f" and {len(counts) - LISTED} other methods" if len(counts) > LISTED else ""
    return [f"{len(lacking)} of {len(frame)} runs are missing: {some}{more}"]

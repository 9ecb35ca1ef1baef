"""What every picture of runs has: its panels, axis labels, made-up numbers, missing runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.cells import short
from analysis.collect import synthetic
from analysis.measure import Measure
from petl.picture import ONE_COLUMN, TWO_COLUMNS, annotate, entitle, sheet

MADE_UP = "SYNTHETIC: made-up numbers, nothing was trained"
LISTED = 4


def in_words(measure: Measure) -> str:
    return f"{measure.title} (%)" if measure.percent else measure.title


def panels(
    titles: Sequence[str], width: float | None, height: float, sharey: bool = False
) -> tuple[Figure, list[Axes], int]:
    """Axes of this height, one for each title, and how many stand side by side: 1 or 2."""
    width = width or (ONE_COLUMN if len(titles) == 1 else TWO_COLUMNS)
    across = 1 if width == ONE_COLUMN else min(len(titles), 2)
    down = -(-len(titles) // across)
    figure = sheet(width, height * down)
    axes = list(figure.subplots(down, across, squeeze=False, sharey=sharey).flat)
    for spare in axes[len(titles) :]:
        spare.set_visible(False)
    if len(titles) > 1:
        for axis, title in zip(axes, titles, strict=False):
            entitle(axis, title)
    return figure, axes[: len(titles)], across


def count_parameters(axis: Axes, counts: Sequence[float]) -> None:
    """A logarithmic axis with ticks also within a decade: 100K and 1M, or 250K and 300K."""
    axis.set_xscale("log")
    span = max(counts) / min(counts)
    steps = (1, 2, 3, 5) if span < 12 else (1, 3) if span < 1000 else (1,)
    near = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    axis.xaxis.set_major_locator(near if span < 3 else LogLocator(10, subs=steps))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(round(x))))


def sign(figure: Figure, frame: pd.DataFrame, *notes: str) -> Figure:
    """Write above it that numbers are made up, below it what it means and which runs it lacks."""
    return annotate(figure, MADE_UP if synthetic(frame) else "", [*notes, *missing(frame)])


def missing(frame: pd.DataFrame) -> list[str]:
    """`3 of 30 runs are not finished: LoRA (2), FFT (1)`; nothing if none is."""
    lacking = frame[frame["state"] != "done"]
    if lacking.empty:
        return []
    counts = lacking["method_label"].value_counts(sort=False)
    some = ", ".join(f"{label} ({count})" for label, count in counts.iloc[:LISTED].items())
    more = f" and {len(counts) - LISTED} other methods" if len(counts) > LISTED else ""
    return [f"{len(lacking)} of {len(frame)} runs are not finished: {some}{more}"]

"""How methods converged, dataset by dataset: the curves of `petl curves`, a row for each dataset.

The frame is that of `analysis.load` with one more column, `rows`, which holds a run's lines of
metrics.jsonl (`analysis.figures.figure.with_epochs`).
"""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.curves import Group, name, plot
from analysis.measure import Measure
from analysis.style import sign
from petl.errors import UserError
from petl.picture import ONE_COLUMN, PANEL_HEIGHT, STYLE, TWO_COLUMNS, entitle, sheet

BAND = "Thin: runs; thick: their mean, in a band of one standard deviation"


@mpl.rc_context(STYLE)
def convergence(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """One column wide there is room for the score alone."""
    width = width or TWO_COLUMNS
    begun = frame[frame["rows"].map(bool)]
    if begun.empty:
        raise UserError(f"{frame['study'].iloc[0]} has no runs that have finished an epoch")
    by = ["backbone", "method_label"] if frame["backbone"].nunique() > 1 else ["method_label"]
    labels = list(dict.fromkeys(map(" · ".join, frame[by[::-1]].itertuples(index=False))))
    datasets = list(dict.fromkeys(begun["dataset_label"]))
    across = 1 if width == ONE_COLUMN else 3
    figure = sheet(width, (PANEL_HEIGHT - 0.35) * len(datasets) + 0.35)
    axes = figure.subplots(len(datasets), across, squeeze=False)
    for row, dataset in zip(axes, datasets, strict=True):
        here = begun[begun["dataset_label"] == dataset]
        of = here[by[::-1]].agg(" · ".join, axis=1)
        plot(row, [Group(label, list(here.loc[of == label, "rows"])) for label in labels])
        if len(datasets) > 1:
            entitle(row[0], dataset)
    for row in axes[:-1]:
        for axis in row:
            axis.set_xlabel("")
    for row in axes[1:]:
        if across > 1:  # what is dashed is said once
            row[0].get_legend().remove()
    if len(labels) > 1:
        name(figure, labels, across=3 if width == ONE_COLUMN else 6)
    return sign(figure, frame, BAND)

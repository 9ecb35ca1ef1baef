"""Every fold of every method, and the hours that the runs of a method took."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.cells import Row, build, method_names
from analysis.measure import Measure
from analysis.style import in_words, panels, sign
from petl.errors import UserError, several
from petl.picture import HATCHES, INK, MARKERS, ONE_COLUMN, STYLE, color_of, dress, sheet

ROW, AROUND = 0.24, 0.75  # inches
BAND = 0.62
"""The share of a row's height over which its folds are spread."""
SHADES = (0.05, 0.42, 0.22, 0.58)


@mpl.rc_context(STYLE)
def folds(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """A row for each method: each fold with its own marker and height, and their mean."""
    table = build(frame, measure)
    titles = [dataset.label for dataset in table.datasets]
    rows = table.all_rows
    figure, axes, across = panels(titles, width, ROW * len(rows) + AROUND, sharey=True)
    numbers = sorted({fold for row in rows for cell in row.cells for fold, _ in cell.by_fold})
    for column, axis in enumerate(axes):
        _strips(axis, rows, column, numbers)
        if column + across >= len(axes):
            axis.set_xlabel(in_words(measure))
    axes[0].set_yticks(range(len(rows)), [row.label for row in rows])
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    entries = [Line2D([], [], ls="", label="Fold")]
    entries += [Line2D([], [], label=f"{fold}", **_marker(i)) for i, fold in enumerate(numbers)]
    legend = {"ncols": min(len(entries), 12), "handlelength": 1.2, "handletextpad": 0.1}
    narrow = figure.get_figwidth() == ONE_COLUMN
    legend |= {"columnspacing": 0.7 if narrow else 1.2, "frameon": False}
    figure.legend(handles=entries, loc="outside upper center", **legend)
    return sign(figure, frame, *["Bar: mean of the folds"] * bool(numbers[1:]))


def _strips(axis: Axes, rows: Sequence[Row], column: int, numbers: list[int]) -> None:
    here = sorted({fold for row in rows for fold, _ in row.cells[column].by_fold})
    heights = np.linspace(-BAND / 2, BAND / 2, len(here)) if here[1:] else [0.0]
    for y, row in enumerate(rows):
        cell = row.cells[column]
        for fold, value in cell.by_fold:
            axis.plot(value, y + heights[here.index(fold)], **_marker(numbers.index(fold)))
        if math.isfinite(cell.mean) and cell.folds[1:]:
            look = {"color": INK, "marker": "|", "ms": 11, "mew": 1.4, "zorder": 2}
            axis.plot(cell.mean, y, **look)
        if y % 2:
            axis.axhspan(y - 0.5, y + 0.5, color="#f3f3f3", lw=0, zorder=0)
    dress(axis)
    axis.grid(False, axis="y")
    axis.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.tick_params(axis="y", length=0)


def _marker(i: int) -> dict[str, object]:
    marker, size = MARKERS[i % len(MARKERS)]
    look = {"marker": marker, "ms": 0.72 * size, "mec": "white", "mew": 0.3, "zorder": 3}
    return look | {"color": color_of(i, brightest=0.5), "ls": ""}


@mpl.rc_context(STYLE)
def cost(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """Hours of all finished runs of a method, stacked by dataset; wall-clock hours on a CPU."""
    done = frame[frame["state"] == "done"]
    on_gpu = bool((done["gpu_hours"] > 0).any())
    hours = done["gpu_hours"] if on_gpu else done["timing.seconds"] / 3600
    if not (hours > 0).any():
        raise UserError(f"{frame['study'].iloc[0]} has no finished runs with a duration")
    names = method_names(frame)
    methods, datasets = list(dict.fromkeys(names)), list(dict.fromkeys(frame["dataset_label"]))
    sums = hours.groupby([names[done.index], done["dataset_label"]]).sum()
    table = sums.unstack(fill_value=0.0).reindex(index=methods, columns=datasets, fill_value=0.0)
    figure = sheet(width or ONE_COLUMN, 0.2 * len(methods) + 0.65 + 0.15 * (len(datasets) > 1))
    axis = figure.subplots()
    _bars(axis, table)
    axis.set_xlabel("GPU hours" if on_gpu else "Hours on a CPU")
    if len(datasets) > 1:
        patches = [Patch(label=name, **_fill(i)) for i, name in enumerate(datasets)]
        columns = min(len(datasets), 4 if (width or ONE_COLUMN) == ONE_COLUMN else 8)
        legend = {"ncols": columns, "frameon": False, "columnspacing": 1.2, "handletextpad": 0.5}
        figure.legend(handles=patches, loc="outside upper center", **legend)
    without = int((done["gpu_hours"] == 0).sum()) if on_gpu else 0
    notes = [
        f"All finished runs: {_hours(hours.sum())} h",
        f"{several(without, 'run')} without a GPU, counted as 0",
    ]
    return sign(figure, frame, *notes[: 1 + bool(without)])


def _bars(axis: Axes, table: pd.DataFrame) -> None:
    rows, left = np.arange(len(table)), np.zeros(len(table))
    for i, name in enumerate(table):
        axis.barh(rows, table[name], left=left, height=0.68, **_fill(i))
        left = left + table[name].to_numpy()
    for y, total in enumerate(left):
        axis.annotate(
            _hours(total), (total, y), (3, 0), textcoords="offset points", va="center", size=6.8
        )
    dress(axis)
    axis.grid(False, axis="y")
    axis.margins(x=0.12)
    axis.set_yticks(rows, table.index)
    axis.set_ylim(len(table) - 0.4, -0.6)
    axis.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.tick_params(axis="y", length=0)


def _fill(i: int) -> dict[str, object]:
    """Neighbours differ in hatch and in grey."""
    color = mpl.colormaps["Blues"](SHADES[i % len(SHADES)])
    return {"facecolor": color, "hatch": HATCHES[i % len(HATCHES)], "edgecolor": INK, "lw": 0.5}


def _hours(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"

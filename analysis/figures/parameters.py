"""Accuracy against trainable parameters.

Every method has its own marker and its name beside it, so that the figure needs neither colour nor
a legend. The dashed line is the Pareto front.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cells import Cell, Row, Table, build
from analysis.figures.names import Named, write_names
from analysis.measure import Measure
from analysis.style import MADE_UP, count_parameters, in_words, missing, panels
from petl.picture import MARKERS, PANEL_HEIGHT, STYLE, annotate, color_of, dress

FRONT = "Dashed: Pareto front"
FLOOR = "Dotted: without a network"
REAL = "Dotted: real clips in the place of synthetic ones"


def parameters(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    return draw(build(frame, measure), width, missing(frame))


@mpl.rc_context(STYLE)
def draw(table: Table, width: float | None = None, notes: Sequence[str] = ()) -> Figure:
    """One panel per dataset, and a point in it for each method that has a finished run.

    Mean and standard deviation over folds; the small dots are the folds. Hollow: runs are missing.
    """
    titles = [dataset.label for dataset in table.datasets]
    figure, axes, across = panels(titles, width, PANEL_HEIGHT)
    fronts = [_panel(axis, table, column) for column, axis in enumerate(axes)]
    below = [_floors(axis, table, column) for column, axis in enumerate(axes)]
    for column, axis in enumerate(axes):
        if column % across == 0:
            axis.set_ylabel(in_words(table.measure))
        if column + across >= len(axes):
            axis.set_xlabel("Trainable parameters, without the head")
    about = [FRONT] * any(map(bool, fronts)) + [_floor(table)] * any(below)
    annotate(figure, MADE_UP if table.synthetic else "", [*about, *notes])

    # names need the final size of the axes
    figure.draw_without_rendering()
    for column, axis in enumerate(axes):
        named = [_named(i, row, cell) for i, row, cell in _points(table, column)]
        write_names(axis, named, fronts[column])
    return figure


def pareto(
    points: Sequence[tuple[float, float]], lowest: bool = False
) -> list[tuple[float, float]]:
    """The points that no other beats with as few parameters, from few to many."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], point[1] if lowest else -point[1])):
        if not front or (y < front[-1][1] if lowest else y > front[-1][1]):
            front.append((x, y))
    return front


def _panel(axis: Axes, table: Table, column: int) -> list[tuple[float, float]]:
    """Return the corners of the front; only methods with all runs are on it."""
    for i, _row, cell in _points(table, column):
        x, color = _x(cell), color_of(i)
        axis.errorbar(x, cell.mean, cell.std, color=color, elinewidth=1, capsize=2.2, zorder=3)
        marker, size = MARKERS[i % len(MARKERS)]
        inside = color if cell.complete else "white"
        axis.plot(x, cell.mean, marker, ms=size, mfc=inside, mec=color, mew=0.8, zorder=4)
        if len(cell.folds) > 1:
            dots = {"color": color, "ms": 2.4, "mec": "white", "mew": 0.3, "zorder": 3.5}
            axis.plot([x] * len(cell.folds), cell.folds, "o", **dots)
    axis.margins(x=0.13, y=0.1)
    dress(axis)
    count_parameters(axis, [_x(cell) for _, _, cell in _points(table, column)] or [1])
    whole = [(_x(cell), cell.mean) for _, _, cell in _points(table, column) if cell.complete]
    front = pareto(whole, table.measure.lowest_first)
    steps = [(x, y) for (_, y), (x, _) in pairwise(front)]
    corners = [at for pair in zip(front, steps, strict=False) for at in pair] + front[-1:]
    if not steps:
        return []
    axis.plot(*zip(*corners, strict=True), color="#888888", lw=0.8, ls=(0, (4, 2)), zorder=2)
    return corners


def _floor(table: Table) -> str:
    return REAL if any(row.method == "real" for row in table.floors) else FLOOR


def _floors(axis: Axes, table: Table, column: int) -> bool:
    """A line with its name at the right for each of the floors."""
    known = [(row.label, row.cells[column].mean) for row in table.floors]
    for label, mean in ((label, mean) for label, mean in known if math.isfinite(mean)):
        axis.axhline(mean, color="#888888", lw=0.8, ls=":", zorder=1)
        at = {"xycoords": axis.get_yaxis_transform(), "textcoords": "offset points"}
        axis.annotate(label, (1, mean), (-2, 2), ha="right", size=6.2, color="#555555", **at)
    return any(math.isfinite(mean) for _, mean in known)


def _points(table: Table, column: int) -> Iterator[tuple[int, Row, Cell]]:
    """The cells to draw, with the row's number: a method has the same marker in every panel."""
    for i, row in enumerate(table.rows):
        cell = row.cells[column]
        if math.isfinite(cell.mean) and cell.params is not None:
            yield i, row, cell


def _x(cell: Cell) -> int:
    """At least 1: a method that trains only the head has 0, which has no logarithm."""
    return max(cell.params or 0, 1)


def _named(i: int, row: Row, cell: Cell) -> Named:
    spread = cell.std or 0
    return Named(
        f"{row.label} {cell.counts}".strip(),
        _x(cell),
        cell.mean,
        low=min(*cell.folds, cell.mean - spread),
        high=max(*cell.folds, cell.mean + spread),
        color=color_of(i, brightest=0.36),
    )

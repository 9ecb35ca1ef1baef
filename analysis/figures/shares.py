"""The share of synthetic clips against the score, and against its difference from share 0.

On the left the mean over folds, on the right the mean of paired differences, both with their 95 %
interval: the left ones overlap also where all folds agree on a difference. A row of panels is a
dataset and a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from analysis.cells import Cell, Table, build
from analysis.figures.sweeps import common
from analysis.measure import Measure
from analysis.shares import ALONE, Arm, Family, families
from analysis.spread import Interval, interval, ratio_of
from analysis.style import in_words, sign
from petl.errors import UserError
from petl.picture import (
    INK,
    ONE_COLUMN,
    PANEL_HEIGHT,
    STYLE,
    TWO_COLUMNS,
    dress,
    entitle,
    line_look,
    sheet,
)

ASIDE = 2.0
"""Points that given and shuffled conditions are apart."""
WAYS = ("Given conditions", "Shuffled conditions", "Synthetic clips alone")
HOW = "95% intervals over folds, seeds averaged within their fold, widened (Nadeau and Bengio)"
PAIRED = "Right: paired by fold and seed; an interval that includes 0 shows no difference"
Point = tuple[float, Interval, bool]
"""A share, a score or a difference, and whether all runs are done."""


@mpl.rc_context(STYLE)
def shares(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    table = build(frame, measure)
    found = families(table, frame)
    if not found:
        raise UserError(
            f"{frame['study'].iloc[0]} has no runs that differ only in `augment`, one of them with "
            "a share of 0 or without it; 'shares' needs them"
        )
    width = width or TWO_COLUMNS
    across = 1 if width == ONE_COLUMN else 2
    figure = sheet(width, (PANEL_HEIGHT - 0.35) * len(found) * 2 / across + 0.35)
    axes = figure.subplots(2 * len(found) // across, across, squeeze=False).reshape(-1, 2)
    for pair, family, title in zip(axes, found, titles(table, found), strict=True):
        of_dataset = frame[frame["dataset"] == table.datasets[family.column].name]
        _scores(pair[0], table, family, ratio_of(of_dataset[of_dataset["state"] == "done"]))
        _gains(pair[1], table, family)
        for axis in pair:
            dress(axis)
        pair[0].set_ylabel(in_words(measure))
        pair[1].set_ylabel(f"Difference from share 0{' (points)' * measure.percent}")
        entitle(pair[0], title)
    for axis in axes[-1] if across == 2 else axes[-1:, 1]:
        axis.set_xlabel("Synthetic clips among those that train (%)")
    _legend(figure, [arm for family in found for arm in family.arms], across)
    rows = {i for one in found for i in (one.baseline, *(arm.row for arm in one.arms))}
    cells = [table.rows[i].cells[one.column] for one in found for i in rows]
    hollow = not all(cell.complete for cell in cells)
    paired = PAIRED if across == 2 else PAIRED.replace("Right", "Differences")
    return sign(figure, frame, HOW, paired, *["Hollow: with runs missing"] * hollow)


def titles(table: Table, found: Sequence[Family]) -> list[str]:
    """The dataset, with what the labels of its rows have in common where it has several."""
    return [_title(table, one, sum(other.column == one.column for other in found)) for one in found]


def _title(table: Table, family: Family, of_dataset: int) -> str:
    labels = pd.Series([table.rows[arm.row].label for arm in family.arms])
    dataset = table.datasets[family.column].label
    return f"{dataset} · {common(labels)}" if of_dataset > 1 else dataset


# --- what is drawn --------------------------------------------------------------------------------


def _scores(axis: Axes, table: Table, family: Family, ratio: float | None) -> None:
    def point(share: float, row: int) -> list[Point]:
        cell: Cell = table.rows[row].cells[family.column]
        return [(share, interval(cell.folds, ratio), cell.complete)] if cell.folds else []

    base = point(0.0, family.baseline)
    points = [(arm, one) for arm in family.arms for one in point(arm.share, arm.row)]
    _lines(axis, base, points)


def _gains(axis: Axes, table: Table, family: Family) -> None:
    """Without the synthetic clips alone: beside them no difference of a few points would show."""
    mixed = [arm for arm in family.arms if arm.share < ALONE] or family.arms
    gains = [(arm, (arm.share, arm.gain, True)) for arm in mixed if arm.gain]
    _lines(axis, [(0.0, Interval(0.0, None), True)], gains)


def _lines(axis: Axes, base: list[Point], points: Sequence[tuple[Arm, Point]]) -> None:
    """The score with share 0 is a level with its band, where the two lines begin."""
    for _, zero, _ in base:
        axis.axhline(zero.mean, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        if zero.ends:
            axis.axhspan(*zero.ends, color=INK, alpha=0.1, linewidth=0, zorder=0)
    for i in range(2):
        of = [point for arm, point in points if arm.share < ALONE and arm.shuffled == bool(i)]
        if of:
            start = [(share, Interval(zero.mean, None), done) for share, zero, done in base]
            _draw(axis, [*start, *of], _look(i), (i - 0.5) * ASIDE)
    for arm, point in points:
        if arm.share == ALONE:
            _draw(axis, [point], _look(2), (arm.shuffled - 0.5) * ASIDE)
    marked = sorted({0.0, *(arm.share for arm, _ in points)})
    axis.set_xticks(marked, ["alone" if x == ALONE else f"{100 * x:g}" for x in marked])
    axis.margins(x=0.06)
    axis.autoscale_view()


def _look(i: int) -> dict[str, Any]:
    return line_look(i) | {"linestyle": ("-", (0, (5, 1.5)), "")[i]}


def _draw(axis: Axes, points: Sequence[Point], look: dict[str, Any], aside: float) -> None:
    moved = axis.transData + ScaledTranslation(aside / 72, 0, axis.figure.dpi_scale_trans)
    axis.plot(
        *zip(*((share, of.mean) for share, of, _ in points), strict=True),
        **look | {"marker": "", "transform": moved, "zorder": 3},
    )
    for share, of, done in points:
        ends = of.ends or (of.mean, of.mean)
        axis.update_datalim([(share, y) for y in ends])  # moved points do not widen the axes
        if share == 0:  # the level has its own band
            continue
        inside = {} if done else {"markerfacecolor": "white"}
        look_of_point = look | {"linestyle": "", "transform": moved, "zorder": 4} | inside
        error = [[of.mean - ends[0]], [ends[1] - of.mean]]
        bars = {"elinewidth": 0.7, "capsize": 1.8, "capthick": 0.7}
        axis.errorbar(share, of.mean, error if of.ends else None, **look_of_point, **bars)


def _legend(figure: Figure, arms: Sequence[Arm], across: int) -> None:
    drawn = {2 if arm.share == ALONE else int(arm.shuffled) for arm in arms}
    entries = [Line2D([], [], label=WAYS[i], **_look(i)) for i in sorted(drawn)]
    zero = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}
    entries.append(Line2D([], [], label="Share 0, with its interval", **zero))
    legend = {"loc": "outside upper center", "ncols": 2 * across, "frameon": False}
    figure.legend(handles=entries, handlelength=2.6, **legend)

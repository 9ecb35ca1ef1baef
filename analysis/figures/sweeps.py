"""The effect of a setting: accuracy against kernel size, parameters, examples per class, or epochs
of pre-training.

A line joins the runs of a method that differ only in that setting: means over folds, with their
standard deviation. A panel is a dataset, or the datasets under one head. Hollow: runs are missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from string import digits, punctuation
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from analysis.cells import KEY, PARAMS, Cell, build
from analysis.measure import Measure
from analysis.style import count_parameters, in_words, panels, sign
from petl.config.backbone import NEW
from petl.errors import UserError
from petl.picture import DASHES, INK, ONE_COLUMN, PANEL_HEIGHT, STYLE, dress, line_look

KERNEL = re.compile(r"method\..*kernel")
SIZE = re.compile(r"method\..*(reduction|length|experts|slots|layers)")
EXAMPLES_OF_A_CLASS = "dataset.few_shot.per_class"
EXAMPLES = re.compile(re.escape(EXAMPLES_OF_A_CLASS))
EPOCHS = re.compile(r"(.+)-(\d+)")
"""The name of a checkpoint of this package's own pre-training: `reconstruct-20`."""
LETTERS, HANDLE = 16, 8
"""In a legend: how many there are in an inch, and how many a line's look is wide."""
BAR = "Mean and population standard deviation over folds"


class Point(NamedTuple):
    x: float
    cell: Cell


class Line(NamedTuple):
    panel: str
    label: str
    points: list[Point]


@dataclass(frozen=True)
class Setting:
    """How its axis looks. `apart`: draw points with the same value side by side."""

    label: str
    dress: Callable[[Axes, list[float]], None]
    apart: bool = False


def kernel(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    sizes = _first_of(frame, KERNEL)
    lines = list(_lines(frame[sizes.notna()], measure, KERNEL, sizes))
    _refuse(lines, frame, "kernel", "only the kernel size differs")
    several = len({label for _, label, _ in lines}) > 1
    lines = [
        Line(panel, _joined(title, label if several else ""), points)
        for (panel, title), label, points in lines
    ]
    return draw_lines(frame, measure, width, lines, Setting("Kernel size", each))


def scaling(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """A method of several sizes is a line, a method of one size a horizontal line."""
    every = list(_lines(frame, measure, SIZE, frame[PARAMS], shortest=1))
    _refuse(
        [points for _, _, points in every if points[1:]], frame, "scaling", "only the size differs"
    )
    lines = [Line(_joined(*panel), label, points) for panel, label, points in every]
    setting = Setting("Trainable parameters, without the head", _logarithmic)
    return draw_lines(frame, measure, width, lines, setting)


def few_shot(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    examples = frame.get(EXAMPLES_OF_A_CLASS, pd.Series(math.nan, frame.index)).astype(float)
    few = frame[examples.notna()]
    lines = []
    for (_, _, label), runs in few.groupby(["backbone", "method", "method_label"], sort=False):
        lines += [
            Line(common(part["dataset_label"]), label, points_of(part, measure, examples))
            for _, part in runs.groupby(others(runs, ("dataset",), EXAMPLES), sort=False)
        ]
    lines = [line for line in lines if len(line.points) > 1]
    _refuse(lines, frame, "few-shot", "only the examples per class differ")
    return draw_lines(
        frame, measure, width, lines, Setting("Examples per class", _doubling, apart=True)
    )


def pretraining(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """A line from a new backbone, at 0 epochs, through the checkpoints whose names differ only in
    their number of epochs; other backbones are horizontal lines."""
    parts = {name: EPOCHS.fullmatch(name) for name in frame["backbone"].unique()}
    epochs = frame["backbone"].map(lambda name: float(found[2]) if (found := parts[name]) else 0.0)
    kinds = frame["backbone"].map(lambda name: found[1] if (found := parts[name]) else name)
    several, lines = frame["dataset"].nunique() > 1, []
    for _, runs in frame.groupby(["dataset", "method"], sort=False):
        first = runs.iloc[0]
        panel = _joined(first["dataset_label"] if several else "", first["method_label"])
        new = runs["backbone.source"] == NEW
        for kind, drawn in runs[~new].groupby(kinds, sort=False):
            if parts[drawn["backbone"].iloc[0]]:
                drawn = pd.concat([runs[new], drawn])
            lines.append(Line(panel, str(kind), points_of(drawn, measure, epochs)))
    lines = [line for line in lines if line.points]
    whole = [line for line in lines if line.points[1:]]
    _refuse(whole, frame, "pretraining", "only the epochs of pre-training differ")
    return draw_lines(frame, measure, width, lines, Setting("Epochs of pre-training", each))


# --- what belongs to a line -----------------------------------------------------------------------


def _lines(
    frame: pd.DataFrame, measure: Measure, varied: re.Pattern[str], x: pd.Series, shortest: int = 2
) -> Iterator[tuple[tuple[str, str], str, list[Point]]]:
    """Panel, label and points of the methods on a dataset that differ only in `varied`."""
    for _, of_dataset in frame.groupby(["backbone", "dataset"], sort=False):
        label = str(of_dataset["dataset_label"].iloc[0])
        head, _, title = label.rpartition(" · ")
        for runs in _alike(of_dataset, varied):
            points = points_of(runs, measure, x)
            if len(points) >= shortest:
                few = " per class" if title.isdecimal() and _few(runs) else ""
                yield (
                    (head, title + few) if head else (label, ""),
                    common(runs["method_label"]),
                    points,
                )


def _alike(frame: pd.DataFrame, varied: re.Pattern[str]) -> Iterator[pd.DataFrame]:
    """Runs that differ in one of the varied settings: of several, the one with the most values."""
    for _, runs in frame.groupby(others(frame, ("method", "train"), varied), sort=False):
        names = [name for name in runs if varied.fullmatch(name)]
        counts = {name: runs[name].nunique(dropna=False) for name in names}
        drawn = re.compile(re.escape(max(names, key=counts.__getitem__, default="")))
        yield from (part for _, part in runs.groupby(others(runs, ("method",), drawn), sort=False))


def points_of(runs: pd.DataFrame, measure: Measure, x: pd.Series) -> list[Point]:
    """Sorted by x; a method without a finished run has no point."""
    points = []
    for _, part in runs.groupby(KEY, sort=False):
        (row,), values = build(part, measure).rows, x[part.index].dropna()
        if len(values) and math.isfinite(row.cells[0].mean):
            points.append(Point(float(values.iloc[0]), row.cells[0]))
    return sorted(points, key=lambda point: point.x)


def _few(runs: pd.DataFrame) -> bool:
    return bool(runs.get(EXAMPLES_OF_A_CLASS, pd.Series(dtype=float)).notna().any())


def others(frame: pd.DataFrame, parts: Sequence[str], varied: re.Pattern[str]) -> pd.Series:
    """A key of what the runs of a line share: all settings of those parts but the varied one."""
    columns = [
        name
        for name in settings(frame, parts)
        if not varied.fullmatch(name) and frame[name].notna().any()
    ]
    return frame[columns].map(str).agg(" ".join, axis=1) if columns else frame["study"]


def settings(frame: pd.DataFrame, parts: Sequence[str]) -> list[str]:
    return [name for name in frame if name.startswith(tuple(f"{part}." for part in parts))]


def _first_of(frame: pd.DataFrame, columns: re.Pattern[str]) -> pd.Series:
    names = [name for name in frame if columns.fullmatch(name)]
    return frame[names].bfill(axis=1).iloc[:, 0] if names else pd.Series(math.nan, frame.index)


def common(labels: pd.Series) -> str:
    """`LoRA` for `LoRA 1/64` and `LoRA 1/128`; a single label stays as it is."""
    names = list(dict.fromkeys(labels))
    if len(names) == 1:
        return str(names[0])
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    return "".join(a for a, _ in alike).rstrip(f"{digits}{punctuation}· ") or str(names[0])


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _refuse(lines: Sequence[Any], frame: pd.DataFrame, figure: str, what: str) -> None:
    if not lines:
        study = frame["study"].iloc[0]
        raise UserError(f"{study} has no finished runs in which {what}; '{figure}' needs them")


# --- the picture ----------------------------------------------------------------------------------


@mpl.rc_context(STYLE)
def draw_lines(
    frame: pd.DataFrame, measure: Measure, width: float | None, lines: list[Line], setting: Setting
) -> Figure:
    titles = list(dict.fromkeys(line.panel for line in lines))
    several = [line.label for line in lines if line.points[1:]]
    looks = {
        label: line_look(i) | {"linestyle": DASHES[i % len(DASHES)]}
        for i, label in enumerate(dict.fromkeys(several))
    }
    levels = [line.label for line in lines if line.label not in looks]
    looks |= {label: _level_look(i) for i, label in enumerate(dict.fromkeys(levels))}
    figure, axes, across = panels(titles, width, PANEL_HEIGHT)
    for i, (axis, panel) in enumerate(zip(axes, titles, strict=True)):
        here = [line for line in lines if line.panel == panel]
        for line in here:
            _plot(axis, line, looks[line.label], _aside(looks, line.label) if setting.apart else 0)
        dress(axis)
        setting.dress(axis, sorted({point.x for line in here for point in line.points}))
        axis.set_xlabel(setting.label)
        if i % across == 0:
            axis.set_ylabel(in_words(measure))
    if len(looks) > 1:
        entries = [Line2D([], [], label=label, **look) for label, look in looks.items()]
        longest = max(map(len, looks))
        columns = max(1, int(LETTERS * figure.get_figwidth() / (longest + HANDLE)))
        columns = min(len(entries), columns, 3 if figure.get_figwidth() == ONE_COLUMN else 6)
        legend = {"loc": "outside upper center", "ncols": columns, "frameon": False}
        figure.legend(handles=entries, handlelength=2.6, **legend)
    hollow = any(not point.cell.complete for line in lines for point in line.points)
    spread = any(point.cell.std is not None for line in lines for point in line.points)
    return sign(figure, frame, *[BAR] * spread, *["Hollow: with runs missing"] * hollow)


def _plot(axis: Axes, line: Line, look: dict[str, Any], aside: float) -> None:
    if not line.points[1:]:
        axis.axhline(line.points[0].cell.mean, **look)
        return
    shifted = axis.transData + ScaledTranslation(aside / 72, 0, axis.figure.dpi_scale_trans)
    xs = [point.x for point in line.points]
    means = [point.cell.mean for point in line.points]
    spreads = [math.nan if point.cell.std is None else point.cell.std for point in line.points]
    bars = {"elinewidth": 0.7, "capsize": 1.8, "capthick": 0.7, "transform": shifted}
    axis.errorbar(xs, means, spreads, **(look | bars))
    for point in line.points:
        if not point.cell.complete:
            hollow = look | {"markerfacecolor": "white", "transform": shifted, "zorder": 4}
            axis.plot(point.x, point.cell.mean, **hollow)
    # shifted points do not widen the axes by themselves
    for point, spread in zip(line.points, spreads, strict=True):
        around = [point.cell.mean + sign * spread for sign in (-1, 1)] if spread == spread else []
        axis.update_datalim([(point.x, y) for y in (point.cell.mean, *around)])


def _level_look(i: int) -> dict[str, Any]:
    return {"color": INK, "linewidth": 0.9, "linestyle": DASHES[1 + i % (len(DASHES) - 1)]}


def _aside(looks: dict[str, Any], label: str) -> float:
    return 2.6 * (list(looks).index(label) - (len(looks) - 1) / 2)


def each(axis: Axes, values: list[float]) -> None:
    axis.xaxis.set_major_locator(FixedLocator(values))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.autoscale_view()


def _doubling(axis: Axes, values: list[float]) -> None:
    axis.set_xscale("log", base=2)
    axis.margins(x=0.1)
    each(axis, values)
    axis.xaxis.set_minor_locator(NullLocator())


def _logarithmic(axis: Axes, values: list[float]) -> None:
    count_parameters(axis, values)
    axis.autoscale_view()

"""A study's grid: a metric over one setting as lines, or over two as a heat map.

Whatever else differs between runs keeps them apart: another method or another value of a third
setting is another line, or another heat map.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.cells import build, method_names
from analysis.figures.classes import color_scale, heat
from analysis.figures.sweeps import Line, Setting, draw_lines, each, others, points_of, settings
from analysis.measure import Measure
from analysis.style import in_words, panels, sign
from petl.config.grid import short, text
from petl.config.overlay import TASK_PARTS
from petl.errors import UserError, nearest
from petl.picture import STYLE, entitle

ROW, AROUND = 0.3, 0.75  # inches
LOGARITHMIC = 10
"""Positive values with a larger ratio are drawn on a logarithmic axis."""


def grid(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """`frame.attrs`: `grid` has the matrix's settings, `over` those to draw if it is not them."""
    over = _chosen(frame)
    if len(over) == 1:
        return _as_lines(frame, measure, width, over[0])
    return _as_maps(frame, measure, width, *over)


def _chosen(frame: pd.DataFrame) -> list[str]:
    of_study, asked = frame.attrs.get("grid", ()), frame.attrs.get("over", ())
    varied = [name for name in settings(frame, TASK_PARTS) if frame[name].nunique(dropna=False) > 1]
    for setting in asked:
        if setting not in varied:
            near = nearest(setting, varied)
            raise UserError(f"--over {setting}: no setting with several values{near}")
    chosen = list(dict.fromkeys(asked or of_study))
    if not chosen:
        raise UserError(
            f"{frame['study'].iloc[0]}: no setting has several values in the matrix; "
            "'grid' needs them, or one or two settings with --over"
        )
    if len(chosen) > 2:
        choices = ", ".join(chosen)
        raise UserError(f"a figure shows one or two settings; choose with --over: {choices}")
    return chosen


def _groups(frame: pd.DataFrame, over: list[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Panel, method and runs that differ in these settings only."""
    varied = re.compile("|".join(map(re.escape, over)))
    methods = method_names(frame)
    for _, runs in frame.groupby(others(frame, TASK_PARTS, varied), sort=False):
        first = runs.index[0]
        yield _without(runs["dataset_label"].loc[first], over), _without(methods[first], over), runs


def _without(label: str, over: list[str]) -> str:
    """`LoRA` for `LoRA, lr 0.001`."""
    for setting in over:
        for name in (short(setting, [setting]), setting):
            label = re.sub(rf"(, | · ){re.escape(name)} [^,·]+?(?=, | · |$)", "", label)
    return label


def _nothing(frame: pd.DataFrame, what: str) -> str:
    return f"{frame['study'].iloc[0]} has no finished runs in which only {what}; 'grid' needs them"


# --- lines ----------------------------------------------------------------------------------------


def _as_lines(frame: pd.DataFrame, measure: Measure, width: float | None, over: str) -> Figure:
    x, dress = _axis(frame[over])
    lines = []
    for panel, label, runs in _groups(frame, [over]):
        if found := points_of(runs, measure, x):
            lines.append(Line(panel, label, found))
    if not any(line.points[1:] for line in lines):
        raise UserError(_nothing(frame, f"{over} differs"))
    return draw_lines(frame, measure, width, lines, Setting(over, dress))


def _axis(values: pd.Series) -> tuple[pd.Series, Any]:
    """Numbers at their place, and other values side by side in the order of the study."""
    known = values.dropna().tolist()
    numbers = [v for v in known if isinstance(v, int | float) and not isinstance(v, bool)]
    if known and len(numbers) == len(known):
        far = min(numbers) > 0 and max(numbers) >= LOGARITHMIC * min(numbers)
        return values.astype(float), _logarithmic if far else each
    names = values.map(_text)
    order = list(dict.fromkeys(names))

    def dress(axis: Axes, places: list[float]) -> None:
        axis.set_xticks(places, [order[int(place)] for place in places])
        axis.margins(x=0.15)
        axis.autoscale_view()

    return names.map(order.index).astype(float), dress


def _logarithmic(axis: Axes, values: list[float]) -> None:
    axis.set_xscale("log")
    each(axis, values)
    axis.xaxis.set_minor_locator(NullLocator())


def _text(value: Any) -> str:
    return text(None if isinstance(value, float) and np.isnan(value) else value)


# --- heat maps ------------------------------------------------------------------------------------


@mpl.rc_context(STYLE)
def _as_maps(
    frame: pd.DataFrame, measure: Measure, width: float | None, across: str, down: str
) -> Figure:
    maps = []
    for panel, label, runs in _groups(frame, [across, down]):
        table, counts = _table(runs, measure, across, down)
        if table.notna().to_numpy().any():
            maps.append((f"{label} · {panel}", table, counts))
    if not any(table.size > 1 for _, table, _ in maps):
        raise UserError(_nothing(frame, f"{across} and {down} differ"))
    rows = max(3, *(len(table) for _, table, _ in maps))
    figure, axes, _ = panels([title for title, _, _ in maps], width, ROW * rows + AROUND)
    values = np.concatenate([table.to_numpy().ravel() for _, table, _ in maps])
    ends = (float(np.nanmin(values)), float(np.nanmax(values)))
    for axis, (title, table, counts) in zip(axes, maps, strict=True):
        shown = table.map(lambda mean: "" if np.isnan(mean) else measure.text(mean)) + counts
        heat(axis, table, ends, annot=shown, fmt="", annot_kws={"size": 6.5})
        axis.set(xlabel=across, ylabel=down)
        axis.tick_params(length=0, pad=1.5)
        axis.set_xticks(np.arange(table.shape[1]) + 0.5, table.columns, rotation=0)
        axis.set_yticks(np.arange(len(table)) + 0.5, table.index, rotation=0)
        entitle(axis, title)
    color_scale(figure, axes, in_words(measure))
    hatched = any(table.isna().to_numpy().any() for _, table, _ in maps)
    folds = bool(frame["fold"].nunique() > 1)
    notes = [*["Means over folds"] * folds, *["Hatched: no finished run"] * hatched]
    return sign(figure, frame, *notes)


def _table(
    runs: pd.DataFrame, measure: Measure, across: str, down: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means by the values of both settings, in the order of the study, and how many are missing."""
    xs, ys = runs[across].map(_text), runs[down].map(_text)
    order = {"index": list(dict.fromkeys(ys)), "columns": list(dict.fromkeys(xs))}
    means, counts = pd.DataFrame(np.nan, **order), pd.DataFrame("", **order)
    for (x, y), part in runs.groupby([xs, ys], sort=False):
        (row,) = build(part, measure).rows
        means.loc[y, x], missing = row.cells[0].mean, row.cells[0].counts
        counts.loc[y, x] = f" {missing}" if missing and row.cells[0].folds else ""
    return means, counts

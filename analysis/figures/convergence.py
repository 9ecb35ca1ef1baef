"""How runs converge: loss, the headline metric of the task, and the learning rate.

A row of panels for each dataset, a line for each method. Several folds of a method are thin lines
under their mean, with a band of one population standard deviation. The frame is that of
`analysis.load` with one more column, `epochs`: a run's lines of metrics.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.measure import Measure
from analysis.style import in_words, sign
from petl.config.kinds import HEADLINES
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
from petl.runs.directory import RunDir
from petl.runs.find import read_task

Epochs = list[dict[str, Any]]
BAND = "Thin: runs; thick: their mean, in a band of one standard deviation"
MARKS, DASH = 6, 5
"""Markers along a line; the length of a dash where lines coincide."""
MOST_WITH_RUNS = 6
"""With more methods than this, single runs would hide everything."""


@dataclass(frozen=True)
class Group:
    """The runs of a method on a dataset, one for each fold and seed."""

    label: str
    runs: list[Epochs]

    def lines(self, key: str) -> list[np.ndarray]:
        values = ([row.get(key, np.nan) for row in epochs] for epochs in self.runs)
        return [np.array(line, dtype=float) for line in values]


def of_runs(runs: Iterable[RunDir]) -> pd.DataFrame:
    """The frame of single runs, which need not be of one study."""
    rows = []
    for run in runs:
        names, result = read_task(run).names, run.result()
        rows.append(
            {
                **{"study": names.study, "dataset_label": names.dataset_label},
                **{"method_label": names.method_label, "backbone": names.backbone},
                **{"state": run.state().kind, "epochs": run.metrics()},
                "synthetic": bool((result or {}).get("synthetic")),
            }
        )
    return pd.DataFrame(rows)


@mpl.rc_context(STYLE)
def convergence(
    frame: pd.DataFrame, measure: Measure | None = None, width: float | None = None
) -> Figure:
    """One column wide there is room for the score alone, which does not depend on `measure`."""
    width = width or TWO_COLUMNS
    begun = frame[frame["epochs"].map(bool)]
    if begun.empty:
        raise UserError(f"no run of {frame['study'].iloc[0]} has finished an epoch yet")
    by = ["method_label", "backbone"][: 1 + (frame["backbone"].nunique() > 1)]
    labels = list(dict.fromkeys(map(" · ".join, frame[by].itertuples(index=False))))
    datasets = list(dict.fromkeys(begun["dataset_label"]))
    across = 1 if width == ONE_COLUMN else 3
    figure = sheet(width, (PANEL_HEIGHT - 0.35) * len(datasets) + 0.35)
    axes = figure.subplots(len(datasets), across, squeeze=False)
    several_runs = False
    for row, dataset in zip(axes, datasets, strict=True):
        here = begun[begun["dataset_label"] == dataset]
        of = here[by].agg(" · ".join, axis=1)
        groups = [Group(label, list(here.loc[of == label, "epochs"])) for label in labels]
        several_runs |= any(len(group.runs) > 1 for group in groups)
        _panels(row, groups)
        if len(labels) == 1:
            entitle(row[0], f"{labels[0]} · {dataset}")
        elif len(datasets) > 1:
            entitle(row[0], dataset)
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    for row in axes[1:]:
        if across > 1:  # the first row has said which line is dashed
            row[0].get_legend().remove()
    if len(labels) > 1:
        entries = [_entry(label, **line_look(i)) for i, label in enumerate(labels)]
        columns = min(len(entries), 3 if width == ONE_COLUMN else 6)
        legend = {"loc": "outside upper center", "ncols": columns, "frameon": False}
        figure.legend(handles=entries, **legend)
    return sign(figure, frame, *[BAND] * several_runs)


def _panels(axes: Sequence[Axes], groups: Sequence[Group]) -> None:
    """Loss, score and learning rate; or the score alone, if there is room for no more."""
    metric = _metric(groups)
    shown = Measure.of(f"val_best.{metric}")
    factor = shown.scaled(1)
    score = axes[len(axes) // 2]
    thin = len(groups) <= MOST_WITH_RUNS
    for i, group in enumerate(groups):
        if not group.runs:  # it keeps its look for the other panels
            continue
        _plot(score, group, f"val_{metric}", i, "-", thin, factor)
        if len(axes) > 1:
            _plot(axes[0], group, "train_loss", i, "--", thin)
            _plot(axes[0], group, "val_loss", i, "-", thin)
            _plot(axes[2], group, "lr", i, _taking_turns(groups, i), thin)
    title = in_words(shown)
    labels = ("Loss", title, "Learning rate") if len(axes) > 1 else (title,)
    for axis, label in zip(axes, labels, strict=True):
        dress(axis)
        axis.set(xlabel="Epoch", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(axes) > 1:
        hollow = {"marker": "o", "markersize": 3, "markerfacecolor": "white"}
        training = _entry("training", linestyle="--", markeredgewidth=0.7, **hollow)
        styles = [training, _entry("validation", marker="o", markersize=3)]
        axes[0].legend(handles=styles, frameon=False, fontsize=7, handlelength=2.4)


def _metric(groups: Sequence[Group]) -> str:
    """The headline; different kinds of task share no axis."""
    firsts = [epochs[0] for group in groups for epochs in group.runs]
    kinds = {next((m for m in HEADLINES if f"val_{m}" in first), "") for first in firsts}
    if len(kinds) > 1:
        raise UserError("a picture of one dataset cannot hold several kinds of task")
    metric = kinds.pop()
    if not metric:
        raise UserError(f"metrics.jsonl has neither {' nor '.join(f'val_{m}' for m in HEADLINES)}")
    return metric


def _taking_turns(groups: Sequence[Group], i: int) -> Any:
    """Methods often share a schedule: then each draws every n-th dash of the one line."""
    schedules = [[row["lr"] for epochs in group.runs[:1] for row in epochs] for group in groups]
    sharing = [k for k, schedule in enumerate(schedules) if schedule == schedules[i]]
    return (DASH * sharing.index(i), (DASH, DASH * (len(sharing) - 1))) if sharing[1:] else "-"


def _plot(
    axis: Axes, group: Group, key: str, i: int, style: Any, thin: bool, factor: float = 1
) -> None:
    lines = [factor * line for line in group.lines(key)]
    look = line_look(i) | {"linestyle": style}
    if key.startswith("train"):
        look["markerfacecolor"] = "white"
    mean = lines[0]
    if len(lines) > 1:
        hair = look | {"linewidth": 0.4, "alpha": 0.5, "marker": ""}
        for line in lines if thin else ():
            axis.plot(_numbers(line), line, **hair)
        # beyond the shortest run the mean would jump
        both = np.stack([line[: min(map(len, lines))] for line in lines])
        mean, spread = both.mean(axis=0), both.std(axis=0)
        band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
        axis.fill_between(_numbers(mean), mean - spread, mean + spread, **band)
    step = max(1, round(len(mean) / MARKS))
    axis.plot(_numbers(mean), mean, **look, markevery=(i % step, step))


def _entry(label: str, **look: Any) -> Line2D:
    return Line2D([], [], label=label, **({"color": INK, "linewidth": 1} | look))


def _numbers(line: np.ndarray) -> np.ndarray:
    return np.arange(1, len(line) + 1)

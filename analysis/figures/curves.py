"""How runs converged: loss, the metric that chooses the best epoch, and the learning rate.

Drawn for print: several folds of a method are thin lines under their mean, with a band of one
population standard deviation. Each method has a marker of its own and is dark enough for grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from petl.config import Task
from petl.errors import UserError
from petl.picture import (
    BANNER,
    INK,
    KINDS,
    PANEL_HEIGHT,
    STYLE,
    TWO_COLUMNS,
    annotate,
    dress,
    line_look,
    save,
    sheet,
)

Row = dict[str, Any]
METRICS = {"accuracy": "Validation accuracy (%)", "ccc": "Validation CCC"}
MARKS, DASH, MOST_WITH_RUNS = 6, 5, 6
"""Markers along a line; the length of a dash where lines coincide; of more methods than the last,
single runs would hide everything."""


@dataclass(frozen=True)
class Converged:
    """A run's rows of metrics.jsonl, one for each epoch so far; `synthetic` if it never trained."""

    task: Task
    rows: list[Row]
    synthetic: bool = False


@dataclass(frozen=True)
class Group:
    """The runs of a method on a dataset, one for each fold and seed."""

    label: str
    runs: list[list[Row]]

    def lines(self, key: str) -> list[np.ndarray]:
        values = ([row.get(key, np.nan) for row in rows] for rows in self.runs)
        return [np.array(line, dtype=float) for line in values]


def write_curves(runs: Sequence[Converged], out: Path) -> list[Path]:
    """`out` is a file's name; without an ending there will be a PNG and a PDF."""
    kind = out.suffix.removeprefix(".").lower()
    paths = {k: out if kind else out.with_name(f"{out.name}.{k}") for k in KINDS if kind in ("", k)}
    if not paths:
        raise UserError(f"{out}: curves are .png or .pdf; without an ending they are both")
    save(draw(runs), paths)
    return list(paths.values())


@mpl.rc_context(STYLE)
def draw(runs: Sequence[Converged]) -> Figure:
    groups = _groups([run for run in runs if run.rows])
    if not groups:
        raise UserError("none of these runs has finished an epoch yet")
    figure = sheet(TWO_COLUMNS, PANEL_HEIGHT)
    plot(figure.subplots(1, 3), groups)
    if len(groups) > 1:
        name(figure, [group.label for group in groups])
    title = groups[0].label if len(groups) == 1 else ""
    if any(run.synthetic for run in runs):
        return annotate(figure, f"SYNTHETIC, made-up numbers: {title}".rstrip(": "), ())
    if title:
        figure.suptitle(title, **BANNER | {"color": INK}).set_parse_math(False)
    return figure


def plot(axes: Sequence[Axes], groups: Sequence[Group]) -> None:
    """Loss, score and learning rate; or the score alone, if there is room for no more."""
    metric = _metric(groups)
    factor = 100 if metric == "accuracy" else 1
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
    labels = ("Loss", METRICS[metric], "Learning rate") if len(axes) > 1 else (METRICS[metric],)
    for axis, label in zip(axes, labels, strict=True):
        dress(axis)
        axis.set(xlabel="Epoch", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(axes) > 1:
        hollow = {"marker": "o", "markersize": 3, "markerfacecolor": "white"}
        training = _entry("training", linestyle="--", markeredgewidth=0.7, **hollow)
        styles = [training, _entry("validation", marker="o", markersize=3)]
        axes[0].legend(handles=styles, frameon=False, fontsize=7, handlelength=2.4)


def name(figure: Figure, labels: Sequence[str], across: int = 4) -> None:
    """Which line is whose, above all panels."""
    entries = [_entry(label, **line_look(i)) for i, label in enumerate(labels)]
    columns = min(len(entries), across)
    figure.legend(handles=entries, loc="outside upper center", ncols=columns, frameon=False)


def _groups(runs: Sequence[Converged]) -> list[Group]:
    """Named by what differs between them, in the order in which they are first met."""
    found: dict[tuple[str, ...], list[list[Row]]] = {}
    for run in runs:
        names = run.task.names
        key = (names.method_label, names.dataset_label, names.backbone)
        found.setdefault(key, []).append(run.rows)
    differs = [len({key[i] for key in found}) > 1 for i in range(3)]
    differs[0] = True
    if len(found) == 1:
        differs[1] = True
    return [
        Group(" · ".join(part for part, shown in zip(key, differs, strict=True) if shown), rows)
        for key, rows in found.items()
    ]


def _metric(groups: Sequence[Group]) -> str:
    """The one that chooses the best epoch; classifications and regressions share no axis."""
    kinds = {
        next((m for m in METRICS if f"val_{m}" in rows[0]), "")
        for group in groups
        for rows in group.runs
    }
    if len(kinds) > 1:
        raise UserError("classifications and regressions do not fit into one picture")
    metric = kinds.pop()
    if not metric:
        raise UserError(f"metrics.jsonl has none of {', '.join(f'val_{m}' for m in METRICS)}")
    return metric


def _taking_turns(groups: Sequence[Group], i: int) -> Any:
    """Methods often share a schedule: then each draws every so many dashes of the one line."""
    schedules = [[row["lr"] for rows in group.runs[:1] for row in rows] for group in groups]
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
            axis.plot(_epochs(line), line, **hair)
        both = np.stack([line[: min(map(len, lines))] for line in lines])  # as far as all are
        mean, spread = both.mean(axis=0), both.std(axis=0)
        band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
        axis.fill_between(_epochs(mean), mean - spread, mean + spread, **band)
    step = max(1, round(len(mean) / MARKS))
    axis.plot(_epochs(mean), mean, **look, markevery=(i % step, step))


def _entry(label: str, **look: Any) -> Line2D:
    return Line2D([], [], label=label, **({"color": INK, "linewidth": 1} | look))


def _epochs(line: np.ndarray) -> np.ndarray:
    return np.arange(1, len(line) + 1)

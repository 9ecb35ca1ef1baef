"""How runs converge: loss, the headline metric of the task, and the learning rate.

Of a generator: the losses of its networks, how often its discriminator is right, the gradients, and
what each look at samples has found. A row of panels for each dataset, a line for each method.
Several folds of a method are thin lines under their mean, with a band of one population standard
deviation. The frame is that of `analysis.load` with one more column, `epochs`: a run's lines of
metrics.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

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
MEANS = "Means of runs, in a band of one standard deviation"
MARKS, DASH = 6, 5
"""Markers along a line; the length of a dash where lines coincide."""
MOST_WITH_RUNS = 6
"""With more methods than this, single runs would hide everything."""
DIVERSITY, DISTANCE = "diversity", "val_kernel_distance_mel"
LOSS, RIGHT, GRADIENT = "Loss", "Discriminator is right (%)", "Gradient norm"
OF_A_GENERATOR = {
    LOSS: ("loss_generator", "loss_discriminator", "train_loss"),
    RIGHT: ("right_real", "right_synthetic"),
    GRADIENT: ("gradient_generator", "gradient_discriminator", "gradient_velocity"),
    "Diversity of samples": (DIVERSITY,),
    "Kernel distance, mel statistics": (DISTANCE,),
}
"""Panels and their curves."""
DASHED = ("loss_discriminator", "right_synthetic", "gradient_discriminator")
STYLES = (
    "Solid: the network that makes clips, and real clips; dashed: the discriminator, and synthetic "
    "clips"
)
LEVELS = "Dotted: a discriminator that guesses, and the diversity of real clips"


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
        task, result = read_task(run), run.result()
        names = task.names
        rows.append(
            {
                **{"study": names.study, "dataset_label": names.dataset_label},
                **{"method_label": names.method_label, "backbone": names.backbone},
                **{"state": run.state().kind, "epochs": run.metrics()},
                "synthetic": bool((result or {}).get("synthetic")),
                "generator.band": getattr(task.generator, "band", None),
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
    made = begun["epochs"].map(_of_a_generator)
    if made.any() and not made.all():
        raise UserError(
            "a picture holds runs of generators or of models that answer, not both; choose with "
            "--method"
        )
    by = ["method_label", "backbone"][: 1 + (frame["backbone"].nunique() > 1)]
    labels = list(dict.fromkeys(map(" · ".join, frame[by].itertuples(index=False))))
    datasets = list(dict.fromkeys(begun["dataset_label"]))
    across = 1 if width == ONE_COLUMN else 3
    down = len(datasets) * (2 if across > 1 and made.all() else 1)
    figure = sheet(width, (PANEL_HEIGHT - 0.35) * down + 0.35)
    axes = figure.subplots(down, across, squeeze=False).reshape(len(datasets), -1)
    several_runs = False
    for row, dataset in zip(axes, datasets, strict=True):
        here = begun[begun["dataset_label"] == dataset]
        of = here[by].agg(" · ".join, axis=1)
        groups = [Group(label, list(here.loc[of == label, "epochs"])) for label in labels]
        several_runs |= any(len(group.runs) > 1 for group in groups)
        if made.all():
            _panels_of_generators(row, groups, _band(here))
        else:
            _panels(row, groups)
        if len(labels) == 1:
            entitle(row[0], f"{labels[0]} · {dataset}")
        elif len(datasets) > 1:
            entitle(row[0], dataset)
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    for row in axes[1:]:
        for legend in filter(None, (axis.get_legend() for axis in row)):
            legend.remove()  # the first row has said which line is dashed
    if len(labels) > 1:
        entries = [_entry(label, **line_look(i)) for i, label in enumerate(labels)]
        columns = min(len(entries), 3 if width == ONE_COLUMN else 6)
        legend = {"loc": "outside upper center", "ncols": columns, "frameon": False}
        figure.legend(handles=entries, **legend)
    band = BAND if not made.all() or len(labels) == 1 else MEANS
    about = [band] * several_runs + [STYLES, LEVELS] * bool(made.all() and across > 1)
    return sign(figure, frame, *about)


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


def _of_a_generator(epochs: Epochs) -> bool:
    return any(name.startswith("gradient_") for name in epochs[0])


def _band(runs: pd.DataFrame) -> float | None:
    """How often the discriminator should be right at most; None without such a setting."""
    known = runs["generator.band"].dropna().unique() if "generator.band" in runs else ()
    return float(known[0]) if len(known) == 1 else None


def _panels_of_generators(
    axes: Sequence[Axes], groups: Sequence[Group], band: float | None
) -> None:
    """Panels without a curve are left out; a panel alone is the last one, the distance."""
    known = {name for group in groups for epochs in group.runs for row in epochs for name in row}
    panels = [title for title, curves in OF_A_GENERATOR.items() if known & {*curves}]
    panels = panels if len(axes) > 1 else panels[-1:]
    for spare in axes[len(panels) :]:
        spare.set_visible(False)
    level = {"color": INK, "linewidth": 0.7, "linestyle": ":", "zorder": 1}
    for axis, title in zip(axes, panels, strict=False):
        dress(axis)
        for name, (i, group) in product(OF_A_GENERATOR[title], enumerate(groups)):
            if any(name in row for epochs in group.runs for row in epochs) and not (
                name == "train_loss" and "loss_generator" in group.runs[0][0]  # the same numbers
            ):
                style = "--" if name in DASHED else "-"
                _plot(axis, group, name, i, style, len(groups) == 1, 100 if title == RIGHT else 1)
        axis.set(xlabel="Epoch", ylabel=title)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if title == RIGHT:
            axis.axhline(50, **level)
            if band:
                axis.axhspan(50, 100 * band, color=INK, alpha=0.08, linewidth=0, zorder=0)
        elif title == GRADIENT and 0 < 10 * axis.dataLim.y0 < axis.dataLim.y1:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            axis.yaxis.set_minor_locator(NullLocator())
        elif OF_A_GENERATOR[title] == (DIVERSITY,):
            axis.axhline(1, **level)


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
    if style == "--":
        look["markerfacecolor"] = "white"
    mean = lines[0]
    if len(lines) > 1:
        hair = look | {"linewidth": 0.4, "alpha": 0.5, "marker": ""}
        for line in lines if thin else ():
            axis.plot(*_known(line, key), **hair)
        # beyond the shortest run the mean would jump
        both = np.stack([line[: min(map(len, lines))] for line in lines])
        mean, spread = both.mean(axis=0), both.std(axis=0)
        band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
        (xs, low), (_, high) = _known(mean - spread, key), _known(mean + spread, key)
        axis.fill_between(xs, low, high, **band)
    xs, mean = _known(mean, key)
    step = max(1, round(len(mean) / MARKS))
    axis.plot(xs, mean, **look, markevery=(i % step, step))


def _known(line: np.ndarray, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and values; of the epochs with a look at samples, where a value comes from it."""
    epochs = np.arange(1, len(line) + 1)
    looked = np.isfinite(line) | (key not in (DIVERSITY, DISTANCE))
    return epochs[looked], line[looked]


def _entry(label: str, **look: Any) -> Line2D:
    return Line2D([], [], label=label, **({"color": INK, "linewidth": 1} | look))

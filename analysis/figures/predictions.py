"""A regression's answers beside the truth: in the plane of two targets, residuals, calibration.

The frames are those of `analysis.load` with the column of `with_predictions`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analysis.figures.classes import refuse_several
from analysis.measure import Measure
from analysis.style import sign
from petl.errors import UserError
from petl.picture import (
    INK,
    ONE_COLUMN,
    PANEL_HEIGHT,
    STYLE,
    TWO_COLUMNS,
    color_of,
    dress,
    entitle,
    sheet,
)
from petl.runs import predictions as stored
from petl.runs.directory import RunDir
from petl.terminal import echo

MOST_TARGETS = 4
GROUPS, IN_A_GROUP = 10, 5
"""The most groups of answers whose calibration is drawn, and the fewest clips in one."""
ROW = 1.7  # inches
POINT = {"s": 7, "linewidths": 0, "color": color_of(0), "alpha": 0.7, "zorder": 3}
LINE = {"color": "#888888", "lw": 0.8, "ls": (0, (4, 2)), "zorder": 1}


def with_predictions(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """`predictions`: what each finished run kept, None where it kept nothing."""
    kept: list[Any] = []
    targets = frame.get("dataset.targets", pd.Series(None, frame.index, object))
    for run, names in zip(frame[["study", "run_id", "state"]].itertuples(), targets, strict=True):
        directory = RunDir(folder / run.study / run.run_id)
        found, wrong = stored.read(directory) if run.state == "done" else (None, "")
        if found and not _fits(found, names):
            found, wrong = None, "its targets are not those of the run"
        if wrong:
            echo(f"{directory.predictions_file}: {wrong}; it is left out", err=True)
        kept.append(found)
    return frame.assign(predictions=pd.Series(kept, frame.index, object))


def _fits(found: stored.Predictions, names: object) -> bool:
    """Somebody else may have written the file: of a regression, with this run's targets."""
    numbers = all(isinstance(row, list) for row in found["targets"])
    return numbers and ", ".join(found["outputs"]) == names


@mpl.rc_context(STYLE)
def predictions(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """Of one method on one dataset. A point is a clip, or a song, and the mean over seeds."""
    refuse_several(frame, "predictions")
    split = measure.column.partition(".")[0]
    table, names, songs = _together(frame, split if split.startswith("test_") else "test_best")
    shown, width = names[:MOST_TARGETS], width or TWO_COLUMNS
    rows = [[f"residuals {name}", f"calibration {name}"] for name in shown]
    wide, plane = width > ONE_COLUMN, len(names) > 1
    height = ROW * len(rows)
    if plane and wide:
        rows, height = [["plane", *row] for row in rows], max(height, PANEL_HEIGHT)
    elif plane:
        rows, height = [["plane", "plane"], *rows], height + PANEL_HEIGHT
    ratios = {"width_ratios": [1.7, 1, 1]} if plane and wide else {}
    tall = {"height_ratios": [PANEL_HEIGHT, *[ROW] * len(shown)]} if plane and not wide else {}
    figure = sheet(width, height)
    axes = figure.subplot_mosaic(rows, gridspec_kw=ratios | tall)
    if plane:
        _plane(axes["plane"], table, *_first_two(names))
    for name in shown:
        _residuals(axes[f"residuals {name}"], table, name)
        _calibration(axes[f"calibration {name}"], table, name)
    what = "songs, the mean of their windows" if songs else "clips"
    notes = [f"{len(table)} test {what}", "Residual: predicted minus true"]
    notes.append(
        "Calibration: means of groups of answers, with the standard deviation of the truth"
    )
    return sign(figure, frame, *notes)


def _together(frame: pd.DataFrame, split: str) -> tuple[pd.DataFrame, list[str], bool]:
    """`true NAME` and `predicted NAME` of each clip or song, in the unit of the targets."""
    done = frame[frame["predictions"].notna()]
    if done.empty or not done["dataset.targets"].all():
        raise UserError(
            f"{frame['study'].iloc[0]} has no finished runs of a regression that kept their "
            "predictions; 'predictions' needs them"
        )
    parts, names, songs = [], list(done["predictions"].iloc[0]["outputs"]), False
    for _, run in done.iterrows():
        found = run["predictions"]
        songs = songs or "songs" in found
        clips = pd.Series(found["songs"] if "songs" in found else found["clips"], name="clip")
        centre, spread = (run.get(f"dataset.scale.{of}") for of in ("centre", "spread"))
        scaled = spread is not None and spread == spread
        columns = {}
        for what, values in (("true", found["targets"]), ("predicted", found[split])):
            array = np.array(values, dtype=float).reshape(len(clips), len(names))
            array = array * spread + centre if scaled else array
            columns |= {f"{what} {name}": array[:, i] for i, name in enumerate(names)}
        parts.append(pd.DataFrame(columns).assign(fold=run["fold"], clip=clips))
    table = pd.concat(parts).groupby(["fold", "clip"], sort=False).mean()
    return table.replace([np.inf, -np.inf], np.nan).dropna(), names, songs


def _first_two(names: list[str]) -> tuple[str, str]:
    """Valence is drawn to the right and arousal upwards, as everywhere."""
    if {"valence", "arousal"} <= {*names}:
        return "valence", "arousal"
    return names[0], names[1]


def _plane(axis: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    """A thin line leads from the truth to the answer."""
    true, answers = (table[[f"{of} {x}", f"{of} {y}"]].to_numpy() for of in ("true", "predicted"))
    lines = np.stack([true, answers], axis=1)
    axis.add_collection(LineCollection(list(lines), colors="#bbbbbb", linewidths=0.4, zorder=1))
    hollow = {"s": 8, "facecolors": "white", "edgecolors": INK, "linewidths": 0.5, "zorder": 2}
    axis.scatter(*true.T, label="True", **hollow)
    axis.scatter(*answers.T, label="Predicted", marker="s", **POINT)
    dress(axis)
    axis.set(xlabel=x.capitalize(), ylabel=y.capitalize())
    look = {"frameon": False, "ncols": 2, "handletextpad": 0.1, "borderpad": 0}
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), **look)


def _residuals(axis: Axes, table: pd.DataFrame, name: str) -> None:
    true = table[f"true {name}"]
    axis.scatter(true, table[f"predicted {name}"] - true, **POINT)
    axis.axhline(0, **LINE)
    dress(axis)
    entitle(axis, name.capitalize())
    axis.set(xlabel="True", ylabel="Residual")


def _calibration(axis: Axes, table: pd.DataFrame, name: str) -> None:
    """Where the answers of a group are right on average, its point is on the dashed line."""
    ordered = table.sort_values(f"predicted {name}", kind="stable")
    number = max(1, min(GROUPS, len(ordered) // IN_A_GROUP))
    for rows in np.array_split(np.arange(len(ordered)), number):
        group = ordered.iloc[rows]
        true = group[f"true {name}"]
        at = group[f"predicted {name}"].mean(), true.mean()
        axis.errorbar(*at, true.std(ddof=0), fmt="o", ms=3, color=color_of(0), elinewidth=0.7)
    axis.axline((float(table[f"true {name}"].mean()),) * 2, slope=1, **LINE)
    dress(axis)
    axis.set(xlabel="Predicted", ylabel="True")

"""Recall or average precision of each class, and confusion matrices, over folds and seeds.

The frames are those of `analysis.load` with the columns of
`analysis.figures.figure.with_confusions`.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cells import method_names
from analysis.measure import Measure
from analysis.style import sign
from petl.errors import UserError, several
from petl.picture import FAINT, INK, ONE_COLUMN, STYLE, TWO_COLUMNS, entitle, sheet

ROW, TITLE, LABELS, BESIDE = 0.17, 0.3, 0.75, 1.75  # inches
CELL_TEXT, LABEL_TEXT = 0.16, 0.085
"""Inches that a number in a cell, or the name of a class, needs."""
MEASURED = {"Recall": "confusion", "Average precision": "precisions"}
MOST_IN_A_COLUMN = 20
WORST = 3


@mpl.rc_context(STYLE)
def classes(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """A row for each method, a column for each class, the hardest first.

    Recall; of clips with several labels average precision.
    """
    width = width or TWO_COLUMNS
    parts = [(label, part) for label, part in frame.groupby("dataset_label", sort=False)]
    shares = [(label, _shares(part)) for label, part in parts if part["classes"].notna().any()]
    if not shares:
        raise UserError(_nothing(frame, "classes"))
    labelled = [_fits(width, table.shape[1], LABEL_TEXT) for _, table in shares]
    heights = [
        ROW * len(table) + TITLE + LABELS * fits
        for (_, table), fits in zip(shares, labelled, strict=True)
    ]
    figure = sheet(width, sum(heights) + 0.5)
    axes = figure.subplots(len(shares), 1, squeeze=False, height_ratios=heights).ravel()
    values = np.concatenate([table.to_numpy().ravel() for _, table in shares])
    ends = 10 * np.floor(np.nanmin(values) / 10), 10 * np.ceil(np.nanmax(values) / 10)
    for axis, (label, table), fits in zip(axes, shares, labelled, strict=True):
        numbers = _fits(width, table.shape[1], CELL_TEXT)
        heat(axis, table, ends, annot=numbers, fmt=".0f", annot_kws={"size": 5.5})
        _names(axis, table, fits)
        entitle(axis, label)
        if not fits:
            axis.set_xlabel(f"{table.shape[1]} classes, the hardest first")
    scale = [name for name, column in MEASURED.items() if frame[column].notna().any()]
    color_scale(figure, axes, f"{' or '.join(scale)} (%)", orientation="horizontal")
    return sign(figure, frame, "Classes from the hardest to the easiest, over all methods")


@mpl.rc_context(STYLE)
def confusion(frame: pd.DataFrame, measure: Measure, width: float | None = None) -> Figure:
    """Of one method on one dataset."""
    refuse_several(frame, "confusion")
    done = _with(frame)
    if done.empty:
        raise UserError(_nothing(frame, "confusion"))
    matrix, names = _sum(done), list(done["classes"].iloc[0])
    width = width or (ONE_COLUMN if len(names) <= MOST_IN_A_COLUMN else TWO_COLUMNS)
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    table = pd.DataFrame(shares, names, names)
    figure = sheet(width, 0.92 * width)
    axis = figure.subplots()
    room = 0.62 * width / len(names)
    counts = np.where(matrix, matrix.astype(int).astype(str), "") if room > 0.13 else None
    size = {"size": min(6.5, 36 * room)}
    heat(axis, table, (0, 100), annot=counts, fmt="", annot_kws=size, square=True)
    _names(axis, table, room > LABEL_TEXT / 1.4)
    axis.set(xlabel="Predicted class", ylabel="True class")
    entitle(axis, f"{frame['method_label'].iloc[0]} · {frame['dataset_label'].iloc[0]}")
    color_scale(figure, [axis], "Clips of the class (%)")
    folds = done["fold"].nunique()
    summed = f"Clips, summed over {several(len(done), 'run')}" + f" of {folds} folds" * (folds > 1)
    return sign(figure, frame, summed, *_worst(matrix, names))


def _worst(matrix: np.ndarray, names: list[str]) -> list[str]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    largest = np.argsort(wrong, axis=None, kind="stable")[::-1][:WORST]
    pairs = [np.unravel_index(index, wrong.shape) for index in largest]
    texts = [f"{names[i]} \u2192 {names[j]} ({wrong[i, j]:.0f})" for i, j in pairs if wrong[i, j]]
    return [f"Most often confused: {', '.join(texts)}"] if texts else []


# --- numbers --------------------------------------------------------------------------------------


def _with(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["confusion"].notna()]


def _sum(done: pd.DataFrame) -> np.ndarray:
    return np.sum(np.stack(list(done["confusion"])), axis=0).astype(float)


def _shares(part: pd.DataFrame) -> pd.DataFrame:
    """In per cent, a row for each method; NaN where there are no runs or no clips."""
    names = list(part["classes"].dropna().iloc[0])
    grouped = part.groupby(method_names(part), sort=False)
    rows = {label: 100 * _of_classes(runs, len(names)) for label, runs in grouped}
    table = pd.DataFrame(rows, names).T
    return table[table.mean().sort_values(kind="stable").index]


def _of_classes(runs: pd.DataFrame, classes: int) -> np.ndarray:
    """Recall from the sum of the matrices, or the mean of the average precisions."""
    unknown = np.full(classes, np.nan)
    if len(precisions := runs["precisions"].dropna()):
        return pd.DataFrame(list(precisions), dtype=float).mean().to_numpy()
    if not len(done := _with(runs)):
        return unknown
    total = _sum(done)
    clips = total.sum(axis=1)
    return np.divide(np.diag(total), clips, out=unknown, where=clips > 0)


def refuse_several(frame: pd.DataFrame, figure: str) -> None:
    options = []
    for field in ("dataset", "backbone", "method"):
        have = list(dict.fromkeys(frame[field]))
        if len(have) > 1:
            some = ", ".join(have[:6]) + ", ..." * (len(have) > 6)
            options.append(f"--{field} ({some})")
    if options:
        raise UserError(f"'{figure}' draws one method on one dataset: add {' and '.join(options)}")


def _nothing(frame: pd.DataFrame, figure: str) -> str:
    study = frame["study"].iloc[0]
    if frame["precisions"].notna().any():
        return "clips with several labels have no confusion matrix; 'classes' draws each class"
    return f"{study} has no finished runs with a confusion matrix; '{figure}' needs them"


# --- looks ----------------------------------------------------------------------------------------


def _fits(width: float, columns: int, each: float) -> bool:
    return (width - BESIDE) / columns >= each


def heat(axis: Axes, table: pd.DataFrame, ends: tuple[float, float], **more: Any) -> None:
    """White to dark blue, which works in grey too; hatched where there is no value."""
    axis.set_facecolor("white")
    axis.patch.set(hatch="//////", edgecolor="#bbbbbb", linewidth=0)
    colors = "Blues"
    look = {"cmap": colors, "vmin": ends[0], "vmax": ends[1], "linewidths": 0.3, "linecolor": FAINT}
    sns.heatmap(table, ax=axis, cbar=False, **(look | more))


def _names(axis: Axes, table: pd.DataFrame, shown: bool) -> None:
    axis.tick_params(length=0, pad=1.5)
    if shown:
        axis.set_xticks(np.arange(table.shape[1]) + 0.5, table.columns, rotation=90)
    else:
        axis.set_xticks([])
    if shown or table.shape[0] < table.shape[1]:
        axis.set_yticks(np.arange(table.shape[0]) + 0.5, table.index, rotation=0)
    else:
        axis.set_yticks([])
    small = 5.2 if table.shape[1] > MOST_IN_A_COLUMN else 6.5
    for text in axis.get_xticklabels():
        text.set_size(small)
    for text in axis.get_yticklabels():
        text.set_size(small if table.shape[0] > MOST_IN_A_COLUMN else 7)


def color_scale(figure: Figure, axes: Any, label: str, orientation: str = "vertical") -> None:
    level = orientation == "horizontal"
    shape = {"shrink": 0.5, "aspect": 45} if level else {"shrink": 0.9, "aspect": 24}
    place = {"ax": list(axes), "orientation": orientation, "pad": 0.015}
    bar = figure.colorbar(axes[0].collections[0], **place, **shape)
    bar.set_label(label, size=7, color=INK)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(length=2, width=0.5, labelsize=6.5)

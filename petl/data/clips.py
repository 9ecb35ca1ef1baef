"""The figures of `petl data check`: a clip of each class as the model sees it, and the targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from petl.config import Dataset
from petl.errors import UserError
from petl.picture import (
    INK,
    KINDS,
    ONE_COLUMN,
    STYLE,
    TWO_COLUMNS,
    color_of,
    dress,
    save,
    sheet,
)

COLUMNS, HEIGHT = 5, 1.05
OUTLIERS = 2.0
"""Per cent of all values that are shown as black, and as many as white."""

Panel = tuple[str, np.ndarray]
"""A title, and a spectrogram (frames, bins) as long as the clip."""


def write_clips(panels: Sequence[Panel], dataset: Dataset, path: Path) -> None:
    save(draw(panels, dataset), {kind_of(path): path})


def write_targets(targets: np.ndarray, names: Sequence[str], path: Path) -> None:
    """The clips' (clips, 2) in the plane of a regression's two targets."""
    kind = kind_of(path)
    with mpl.rc_context(STYLE):
        figure = sheet(ONE_COLUMN, ONE_COLUMN)
        axis = figure.subplots()
        axis.scatter(*targets.T, s=9, alpha=0.35, linewidths=0, color=color_of(0))
        axis.set(xlabel=names[0].capitalize(), ylabel=names[1].capitalize(), aspect="equal")
        axis.set_title(f"{len(targets):,} clips", size=8, color=INK)
        dress(axis)
        save(figure, {kind: path})


def kind_of(path: Path) -> str:
    """PNG or PDF, by the name."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise UserError(f"{path}: the file's name must end in .png or .pdf")
    return kind


@mpl.rc_context(STYLE)
def draw(panels: Sequence[Panel], dataset: Dataset) -> Figure:
    """All on one scale of loudness. The white area behind a short clip is its padding."""
    front_end = dataset.front_end
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = sheet(TWO_COLUMNS, HEIGHT * rows + 0.4)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    values = np.concatenate([spectrogram.ravel() for _, spectrogram in panels])
    quiet, loud = np.percentile(values, (OUTLIERS, 100 - OUTLIERS))
    for axis, (title, spectrogram) in zip(axes, panels, strict=False):
        show(axis, spectrogram, dataset, (quiet, loud))
        axis.set_title(title, size=7, color=INK, pad=2)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.supxlabel("Seconds", size=8)
    figure.supylabel(f"Mel bins, {front_end.fmin:g} to {front_end.fmax:g} Hz", size=8)
    return figure


def show(
    axis: Axes, spectrogram: np.ndarray, dataset: Dataset, limits: tuple[float, float]
) -> None:
    """A spectrogram (frames, bins) over the seconds of a model's input."""
    frame = dataset.seconds / dataset.frames
    extent = (0.0, len(spectrogram) * frame, 0.0, float(spectrogram.shape[1]))
    look = {"cmap": "magma", "vmin": limits[0], "vmax": limits[1], "interpolation": "nearest"}
    axis.imshow(spectrogram.T, origin="lower", aspect="auto", extent=extent, **look)
    axis.set(xlim=(0, dataset.seconds), yticks=[])
    axis.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axis.tick_params(length=2, width=0.6, labelsize=6.5)

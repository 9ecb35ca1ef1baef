"""Pictures of spectrograms: one clip, and many in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np

from petl.config import Dataset
from petl.data.clips import OUTLIERS, show
from petl.picture import INK, ONE_COLUMN, STYLE, sheet, to_bytes

Limits = tuple[float, float]
"""What is drawn as black, and as white."""
CELL = (96, 64)
"""The most frames and bins that a cell of a grid has; more are averaged."""
GAP = 4
LOUDEST, NOTHING = 254, 255
"""Of a cell; between cells, which is white."""
PER_INCH, WIDE = 220, 13
"""Frames of a grid to an inch of paper, and to a letter above a column."""


def limits_of(spectrograms: np.ndarray) -> Limits:
    """Without the few loudest and quietest values, which would make the others grey."""
    quiet, loud = np.percentile(spectrograms, (OUTLIERS, 100 - OUTLIERS))
    return float(quiet), float(loud)


@mpl.rc_context(STYLE)
def clip(spectrogram: np.ndarray, dataset: Dataset, limits: Limits) -> bytes:
    """A PNG of one spectrogram (frames, bins), with seconds and mel bins."""
    figure = sheet(ONE_COLUMN, 1.25)
    axis = figure.subplots()
    show(axis, spectrogram, dataset, limits)
    axis.set_xlabel("Seconds", size=6.5, labelpad=1)
    front_end = dataset.front_end
    axis.set_ylabel(f"Mel, {front_end.fmin:g}-{front_end.fmax:g} Hz", size=6.5)
    return to_bytes(figure, "png")


def small(spectrograms: np.ndarray, limits: Limits) -> np.ndarray:
    """(..., frames, bins) as cells of a grid: shrunk, uint8 from quiet to loud, bins upwards."""
    quiet, loud = limits
    values = spectrograms.astype(np.float32)
    for axis, most in zip((-2, -1), CELL, strict=True):
        parts = min(most, values.shape[axis])
        starts = np.arange(parts) * values.shape[axis] // parts
        ends = np.append(starts[1:], values.shape[axis])
        shape = [1] * values.ndim
        shape[axis] = parts
        values = np.add.reduceat(values, starts, axis) / (ends - starts).reshape(shape)
    scaled = (values - quiet) / max(loud - quiet, 1e-6)
    return np.round(LOUDEST * scaled.clip(0, 1)).astype(np.uint8)


@mpl.rc_context(STYLE)
def grid(
    cells: Sequence[np.ndarray],
    rows: Sequence[str],
    columns: Sequence[str],
    across: str = "",
    up: str = "",
) -> bytes:
    """A PNG of rows of cells (columns, frames, bins) that `small` made; the first row is on top.

    As one image: an axis for each cell would take seconds.
    """
    pad = ((0, 0), (0, GAP), (0, GAP))
    lines = [np.pad(row, pad, constant_values=NOTHING) for row in cells]
    image = np.concatenate(
        [np.concatenate([cell.T[::-1] for cell in line], axis=1) for line in lines]
    )
    high, wide = image.shape
    figure = sheet(wide / PER_INCH + 0.9, high / PER_INCH + 0.5)
    axis = figure.subplots()
    colours = mpl.colormaps["magma"].with_extremes(over="white")
    axis.imshow(image, cmap=colours, vmin=0, vmax=LOUDEST, interpolation="nearest")
    frames, bins = cells[0].shape[1:]
    turned = 90 * any(WIDE * len(column) > frames for column in columns)
    places = [(frames + GAP) * i + frames / 2 for i in range(len(columns))]
    axis.set_xticks(places, columns, rotation=turned)
    axis.set_yticks([(bins + GAP) * i + bins / 2 for i in range(len(rows))], rows)
    axis.xaxis.tick_top()
    axis.tick_params(length=0, labelsize=6.5, labelcolor=INK)
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    axis.spines[:].set_visible(False)
    return to_bytes(figure, "png")

"""The figure of `petl data show`: a sound, and what a model reads of it in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from petl.config import Dataset, SpecAugment
from petl.data.augment import Masks, draw_masks
from petl.data.clips import OUTLIERS, kind_of
from petl.data.corpus import Clip
from petl.data.decode import opened, read
from petl.data.features import Recipe
from petl.errors import UserError
from petl.picture import INK, STYLE, TWO_COLUMNS, entitle, save, sheet

HEIGHT, COLUMNS = 3.4, 1500
LONGEST = 3000
"""Frames that are shown of a file without a dataset: 30 s."""
UNITS = {
    "ast": "logarithm of the energy, not normalised yet",
    "mel": "standard deviations from the clip's mean",
    "image": "from 0 to 1, before ImageNet's normalisation",
}


@dataclass(frozen=True)
class Shown:
    name: str
    recipe: Recipe
    waveform: np.ndarray
    """At the recipe's rate."""
    spectrogram: np.ndarray
    """(frames, bins)"""
    masks: Masks | None
    start: float = 0.0

    @property
    def seconds(self) -> float:
        """How much sound the spectrogram's width stands for: a short one fills a picture."""
        if self.recipe.front_end.is_image:
            return min(len(self.waveform), self.recipe.length) / self.recipe.rate
        return self.recipe.length / self.recipe.rate


def shown(path: Path, dataset: Dataset | None, start: float, seed: int) -> Shown:
    """As in training; without a dataset, the AST's filter bank of up to 30 s."""
    with opened(path) as sound:
        length = sound.frames / sound.samplerate
    if not 0 <= start < length:
        raise UserError(f"{path}: no sound at {start:g} s; the file is {length:.1f} s long")
    if dataset is None:
        frames = max(16, min(LONGEST, math.ceil(100 * (length - start))))
        recipe, masking = Recipe(frames), None
    else:
        recipe, masking = Recipe.of(dataset, "spectrogram"), dataset.spec_augment
    window = dataset.windows.length if dataset and dataset.windows else None
    seconds = recipe.samples / recipe.rate if window is None else window
    clip = Clip(path.name, path, start=start, seconds=seconds if start or window else None)
    heard = read(path, recipe.channel, round((start + seconds) * recipe.rate), recipe.rate)
    spectrogram = next(iter(recipe.inputs([clip])))
    masks = _masks(spectrogram, masking, seed) if masking else None
    return Shown(path.name, recipe, heard[round(start * recipe.rate) :], spectrogram, masks, start)


def _masks(spectrogram: np.ndarray, settings: SpecAugment, seed: int) -> Masks:
    frames, bins = spectrogram.shape
    return draw_masks(1, frames, bins, settings, torch.Generator().manual_seed(seed))


def write(one: Shown, path: Path) -> None:
    save(draw(one), {kind_of(path): path})


@mpl.rc_context(STYLE)
def draw(one: Shown) -> Figure:
    figure = sheet(TWO_COLUMNS, HEIGHT)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
    _draw_waveform(above, one)
    _draw_spectrogram(below, one)
    below.set_xlim(one.start, one.start + one.seconds)
    return figure


def _draw_waveform(axis: Axes, one: Shown) -> None:
    """The lowest and the highest sample of each column of pixels."""
    pieces = np.array_split(one.waveform, min(COLUMNS, len(one.waveform)))
    edges = np.cumsum([0, *map(len, pieces)])[:-1] / one.recipe.rate + one.start
    low, high = ([extreme(piece) for piece in pieces] for extreme in (np.min, np.max))
    axis.fill_between(edges, low, high, color=INK, linewidth=0.3)
    axis.set_ylabel("Amplitude")
    entitle(axis, f"{one.name}, at {one.recipe.rate:,} Hz")


def _draw_spectrogram(axis: Axes, one: Shown) -> None:
    frames, bins = one.spectrogram.shape
    end = one.start + one.seconds
    quiet, loud = np.percentile(one.spectrogram, (OUTLIERS, 100 - OUTLIERS))
    look = {"cmap": "magma", "vmin": quiet, "vmax": loud, "interpolation": "nearest"}
    extent = (one.start, end, 0.0, float(bins))
    axis.imshow(one.spectrogram.T, origin="lower", aspect="auto", extent=extent, **look)
    front_end = one.recipe.front_end
    entitle(axis, f"{frames} x {bins}, {UNITS[front_end.kind]}")
    axis.set_ylabel(f"Mel, {front_end.fmin:g} to {front_end.fmax:g} Hz")
    axis.set_xlabel("Seconds" + (", and masks as in training" if one.masks else ""))
    if one.masks is None:
        return
    width = one.seconds / frames
    for first, after in one.masks.frequency[:, :, 0].T.tolist():
        _mask(axis, one.start, first, one.seconds, after - first)
    for first, after in one.masks.time[:, :, 0].T.tolist():
        _mask(axis, one.start + first * width, 0, (after - first) * width, bins)


def _mask(axis: Axes, x: float, y: float, width: float, height: float) -> None:
    """Hatched, so that what is behind it can be seen."""
    look = {"facecolor": (1, 1, 1, 0.55), "edgecolor": INK, "hatch": "/////", "linewidth": 0.6}
    axis.add_patch(Rectangle((x, y), width, height, **look))

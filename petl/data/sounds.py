"""Sounds as Python code has them, files or waveforms, as a model's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from petl.config import Statistics
from petl.data.decode import RATES
from petl.data.features import Recipe, normalise
from petl.data.resample import resample, samples_needed
from petl.errors import UserError

Sound: TypeAlias = "str | Path | np.ndarray | Tensor"
"""A file, or a mono waveform of floats from -1 to 1."""
Sounds: TypeAlias = "Sound | Sequence[Sound]"


@dataclass(frozen=True)
class Extractor:
    """Sounds to a model's input: resampled, cut or padded, and normalised spectrograms.

    One sound gives (frames, bins), a list or tuple of them (sounds, frames, bins). For wav2vec 2.0
    it is (samples,). Waveforms need their sampling rate.
    """

    recipe: Recipe
    statistics: Statistics | None
    """None if sounds are normalised one by one, as waveforms are."""

    def __call__(self, sounds: Sounds, rate: int | None = None) -> Tensor:
        raw = torch.from_numpy(self.raw(sounds, rate))
        return raw if self.statistics is None else normalise(raw, self.statistics)

    def raw(self, sounds: Sounds, rate: int | None = None) -> np.ndarray:
        """The same, not normalised yet."""
        if isinstance(sounds, list | tuple):
            if not sounds:
                raise UserError("the list of sounds is empty")
            return np.stack([self._one(sound, rate) for sound in sounds])
        return self._one(sounds, rate)

    def fit(self, sounds: Sequence[Sound], rate: int | None = None) -> Extractor:
        """With the mean and std of these sounds, as `statistics: training-split` in a study."""
        if self.statistics is None:
            return self
        each = (self._one(sound, rate).astype(np.float64) for sound in sounds)
        mean, square = np.mean([(one.mean(), np.square(one).mean()) for one in each], axis=0)
        measured = Statistics(mean=float(mean), std=float(np.sqrt(square - mean**2)))
        return replace(self, statistics=measured)

    def _one(self, sound: Any, rate: int | None) -> np.ndarray:
        if isinstance(sound, str | Path):
            return self.recipe(Path(sound))
        waveform, rate = checked(sound, rate)
        samples, to = self.recipe.samples, self.recipe.rate
        wanted = waveform[: samples_needed(samples, rate, to)].astype(np.float64)
        return self.recipe.input(resample(wanted, rate, to)[:samples].astype(np.float32))


def checked(sound: Any, rate: int | None) -> tuple[np.ndarray, int]:
    """The waveform and its rate, or what is wrong with them."""
    array = np.asarray(sound.detach().cpu() if isinstance(sound, Tensor) else sound)
    waveform = array.squeeze()
    if waveform.ndim != 1:
        raise UserError(
            f"a waveform has one dimension, and this one has the shape {array.shape}; mix channels "
            "by their mean, and put several sounds into a list"
        )
    if waveform.dtype.kind != "f":
        raise UserError(
            f"a waveform has floats from -1 to 1, and this one has {waveform.dtype}; divide 16-bit "
            "samples by 32768"
        )
    if not np.isfinite(waveform).all():
        raise UserError("the waveform has a sample that is not a finite number")
    if rate is None:
        raise UserError("a waveform needs its sampling rate, such as model(waveform, 44100)")
    if rate != int(rate) or not RATES[0] <= rate <= RATES[1]:
        raise UserError(f"the sampling rate is {rate}; petl reads {RATES[0]} to {RATES[1]} Hz")
    return waveform, int(rate)

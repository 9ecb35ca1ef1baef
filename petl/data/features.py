"""From a waveform to what a model reads: a log-mel spectrogram, or for wav2vec 2.0 the waveform.

The filter bank is Kaldi's, with the settings of Hugging Face's feature extractor. It is written out
here because a run's numbers should not depend on the version of a library. The cache has raw
spectrograms; they are normalised later, because the statistics may depend on the training split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from petl.config import Dataset, Statistics
from petl.config.dataset import Channel, Form
from petl.config.front_end import BINS, FILTER_BANK, HOP, RATE, FilterBank, FrontEnd
from petl.data import mel
from petl.data.corpus import Clip
from petl.data.decode import read
from petl.errors import UserError

# Frame t is the samples t * HOP to t * HOP + WINDOW - 1. So f frames need WINDOW + (f - 1) * HOP
# samples, and n samples have 1 + (n - WINDOW) // HOP whole frames, each padded to FFT samples.
WINDOW = 400  # 25 ms
FFT = 512
LOWEST_HZ = 20.0
PRE_EMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)
"""Digital silence becomes log(FLOOR) = -15.9, but padding is 0, as when the AST was trained."""
VARIANCE_FLOOR = 1e-7
"""Added to a waveform's variance, as in wav2vec 2.0's feature extractor."""

Array = TypeVar("Array")


@dataclass(frozen=True)
class Recipe:
    """How a clip becomes a model's input, of one shape whatever the clip's length."""

    frames: int
    form: Form = "spectrogram"
    channel: Channel = "mean"
    front_end: FrontEnd = FILTER_BANK

    @classmethod
    def of(cls, dataset: Dataset, form: Form) -> Recipe:
        if not isinstance(dataset.front_end, FilterBank):
            mel.filters(dataset.front_end)  # refuses what it cannot compute, before any clip
        return cls(dataset.frames, form, dataset.channel, dataset.front_end)

    @property
    def settings(self) -> list[Any]:
        """For the cache's key; without the AST's front end, whose files have no other in them."""
        other = self.front_end != FILTER_BANK
        front_end = [self.front_end.model_dump(mode="json")] if other else []
        return [self.form, self.frames, self.channel, *front_end]

    @property
    def rate(self) -> int:
        return self.front_end.rate

    @property
    def shape(self) -> tuple[int, ...]:
        if self.form == "waveform":
            return (self.frames * HOP,)
        return (self.frames, self.front_end.bins_of(self.frames))

    @property
    def samples(self) -> int:
        """At `rate`, all that a model's input depends on."""
        if self.form == "spectrogram" and isinstance(self.front_end, FilterBank):
            return samples_of(self.frames)
        return self.length

    @property
    def length(self) -> int:
        """Samples of the clip's part that a model's input stands for."""
        return self.front_end.samples_of(self.frames)

    def __call__(self, path: Path) -> np.ndarray:
        return self.input(read(path, self.channel, self.samples, self.rate))

    def inputs(self, clips: Sequence[Clip]) -> Iterator[np.ndarray]:
        """Of the clips in one file: all of it, or windows. It is decoded once."""
        path = clips[0].path
        windows = [(clip.start, clip.seconds) for clip in clips if clip.seconds is not None]
        if not windows:
            yield self(path)
            return
        rate = self.rate
        heard = read(path, self.channel, round(max(map(sum, windows)) * rate), rate)
        for start, seconds in windows:
            window = heard[round(start * rate) :][: round(seconds * rate)]
            if not len(window):
                raise UserError(
                    f"{path}: no sound at {start:g} s: it ends at {len(heard) / rate:.1f} s, "
                    "before the length in its header"
                )
            yield self.input(window)

    def input(self, waveform: np.ndarray) -> np.ndarray:
        """The first `samples` of a mono waveform at `rate`; a shorter one is padded."""
        if self.form == "waveform":
            return standardised(waveform, self.samples)
        if isinstance(self.front_end, FilterBank):
            return spectrogram(waveform, self.frames)
        return mel.spectrogram(waveform, self.front_end, self.frames)


def samples_of(frames: int) -> int:
    return WINDOW + (frames - 1) * HOP


def standardised(waveform: np.ndarray, samples: int) -> np.ndarray:
    """Cut, scaled to mean 0 and variance 1, then padded with zeros at the end."""
    cut = waveform[:samples].astype(np.float64)
    padded = np.zeros(samples, dtype=np.float32)
    padded[: len(cut)] = (cut - cut.mean()) / np.sqrt(cut.var() + VARIANCE_FLOOR)
    return padded


def spectrogram(waveform: np.ndarray, frames: int) -> np.ndarray:
    """(frames, 128): cut, or padded with zeros at the end."""
    padded = np.zeros((frames, BINS), dtype=np.float32)
    energies = fbank(waveform[: samples_of(frames)])
    padded[: len(energies)] = energies
    return padded


def fbank(waveform: np.ndarray) -> np.ndarray:
    """Log-mel energies (frames, 128) of whole windows only; none if the clip is shorter than one.

    In float32 and in Kaldi's order of steps, as when the AST was trained. In a band that is almost
    empty, the logarithm shows the rounding: with float64 it differs by 1e-3.
    """
    if len(waveform) < WINDOW:
        return np.zeros((0, BINS), dtype=np.float32)
    windows = torch.from_numpy(waveform).unfold(0, WINDOW, HOP)
    windows = windows - windows.mean(dim=1, keepdim=True)
    # Pre-emphasis x[i] - 0.97 x[i-1] is computed window by window, with x[-1] = x[0].
    previous = torch.cat([windows[:, :1], windows[:, :-1]], dim=1)
    windows = (windows - PRE_EMPHASIS * previous) * torch.hann_window(WINDOW, periodic=False)
    power = torch.fft.rfft(windows, FFT).abs().square()
    return (power @ mel_filters()).clamp(min=FLOOR).log().numpy()


def normalise(raw: Array, statistics: Statistics) -> Array:
    """(x - mean) / (2 std), so the result has a standard deviation of 0.5, as for the AST."""
    return (raw - statistics.mean) / (2 * statistics.std)  # type: ignore[operator]


@cache
def mel_filters() -> torch.Tensor:
    """(257, 128): Kaldi's triangles are straight on the mel scale, not in hertz as most others are.

    The narrowest of them lie between two FFT bins and are empty, as when the AST was trained.
    """
    mel = _mel(np.arange(FFT // 2 + 1) * RATE / FFT)[:, None]
    corners = np.linspace(_mel(LOWEST_HZ), _mel(RATE / 2), BINS + 2)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def _mel(hertz: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

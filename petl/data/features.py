"""From a sound file to the log-mel spectrogram the AST was pre-trained on.

The filter bank is Kaldi's, as Hugging Face's feature extractor calls it: re-implemented here, since
a run's numbers should not depend on the version of a library. Spectrograms stay raw in the cache;
normalising comes later, because the statistics may depend on the training split.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
import torch

from petl.config import Statistics
from petl.errors import UserError

RATE = 16_000
BINS = 128
WINDOW = 400  # 25 ms
HOP = 160  # 10 ms
FFT = 512
LOWEST_HZ = 20.0
PRE_EMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)
"""Digital silence becomes log(FLOOR) = -15.9, while padding is 0: the AST was trained so."""

Array = TypeVar("Array")


def read(path: Path) -> np.ndarray:
    """A mono float32 waveform at 16 kHz.

    Resampled in float64, as the released code does, by the filter that was librosa's default then.
    """
    try:
        channels, rate = soundfile.read(path, always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: {error}") from None
    mono = channels.mean(axis=1)
    if rate != RATE and mono.size:
        import librosa  # seconds to import: only whoever needs it waits

        mono = librosa.resample(mono, orig_sr=rate, target_sr=RATE, res_type="kaiser_best")
    return mono.astype(np.float32)


def spectrogram(waveform: np.ndarray, frames: int) -> np.ndarray:
    """(frames, 128): cut, or padded with zeros at the end."""
    padded = np.zeros((frames, BINS), dtype=np.float32)
    heard = fbank(waveform[: WINDOW + (frames - 1) * HOP])
    padded[: len(heard)] = heard
    return padded


def fbank(waveform: np.ndarray) -> np.ndarray:
    """Log-mel energies (frames, 128) of whole windows only; none if the clip is shorter than one.

    In float32 and in Kaldi's order of steps. Where a clean sound leaves a band all but empty, what
    one sees there is rounding: float64 would be truer and 1e-3 away from what the AST was shown.
    """
    if len(waveform) < WINDOW:
        return np.zeros((0, BINS), dtype=np.float32)
    windows = torch.from_numpy(waveform).unfold(0, WINDOW, HOP)
    windows = windows - windows.mean(dim=1, keepdim=True)
    previous = torch.cat([windows[:, :1], windows[:, :-1]], dim=1)
    windows = (windows - PRE_EMPHASIS * previous) * torch.hann_window(WINDOW, periodic=False)
    power = torch.fft.rfft(windows, FFT).abs().square()
    return (power @ _mel_filters()).clamp(min=FLOOR).log().numpy()


def normalise(raw: Array, statistics: Statistics) -> Array:
    """As the AST was pre-trained: half the standard deviation that one would expect."""
    return (raw - statistics.mean) / (2 * statistics.std)  # type: ignore[operator]


@cache
def _mel_filters() -> torch.Tensor:
    """(257, 128): triangles that are straight on the mel scale, not in hertz as most others are.

    The lowest ones fall between two FFT bins and stay empty; the pre-trained AST knows them so.
    """
    mel = _mel(np.arange(FFT // 2 + 1) * RATE / FFT)[:, None]
    corners = np.linspace(_mel(LOWEST_HZ), _mel(RATE / 2), BINS + 2)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def _mel(hertz: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

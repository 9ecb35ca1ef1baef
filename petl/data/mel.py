"""Mel spectrograms as librosa makes them, and pictures of them for a ViT.

They are written out here because a run's numbers should not depend on the version of a library:
librosa's default for resampling has changed. In float64, because in a band 80 dB below the loudest
the rounding of float32 shows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from petl.config.front_end import Image, LibrosaMel, Mel
from petl.errors import UserError

LOWEST_POWER = 1e-10
DECIBELS = 80.0
"""What is quieter than this, below the loudest, is set to it."""
TINY = 1e-8
"""Added to the standard deviation; digital silence becomes 0."""

# Slaney's mel scale: linear up to 1000 Hz (15 mel), then 27 steps for a factor of 6.4.
HZ_PER_MEL, BREAK_HZ, BREAK_MEL, LOG_STEP = 200 / 3, 1000.0, 15.0, np.log(6.4) / 27


def spectrogram(waveform: np.ndarray, settings: Mel | Image, frames: int) -> np.ndarray:
    """(frames, bins): of a mono waveform at the settings' rate.

    A waveform that is too short is padded with silence, but a picture is stretched to its size.
    """
    waveform = waveform[: settings.samples_of(frames)]
    if isinstance(settings, Mel):
        waveform = np.pad(waveform, (0, settings.samples_of(frames) - len(waveform)))
    scores = z_scores(waveform, settings)
    if isinstance(settings, Image):
        low, high = scores.min(), scores.max()
        scores = (scores - low) / (high - low if high > low else 1.0)
    size = (frames, settings.bins_of(frames))
    if scores.shape != size:
        scores = F.interpolate(scores[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    return scores.float().numpy()


def z_scores(waveform: np.ndarray, settings: LibrosaMel) -> Tensor:
    """(frames, bins) in float64, of mean 0 and standard deviation 1."""
    n_fft = settings.n_fft
    samples = F.pad(torch.from_numpy(waveform).double(), (n_fft // 2, n_fft // 2))
    windows = samples.unfold(0, n_fft, settings.hop)
    window = torch.hann_window(n_fft, periodic=True, dtype=torch.float64)
    bank = filters(settings)
    spectrum = torch.fft.rfft(windows * window)[:, : len(bank)]
    power = (spectrum.real.square() + spectrum.imag.square()) @ bank
    decibels = 10 * power.clamp(min=LOWEST_POWER).log10()
    decibels = (decibels - decibels.max()).clamp(min=-DECIBELS)
    return (decibels - decibels.mean()) / (decibels.std(unbiased=False) + TINY)


@lru_cache(maxsize=8)
def filters(settings: LibrosaMel) -> Tensor:
    """(FFT bins up to fmax, mel bins): triangles in hertz, each of the same area."""
    low, high = _mel(settings.fmin), _mel(settings.fmax)
    corners = _hertz(np.linspace(low, high, settings.bins + 2))
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    hertz = (np.arange(settings.n_fft // 2 + 1) * settings.rate / settings.n_fft)[:, None]
    rising, falling = (hertz - left) / (centre - left), (right - hertz) / (right - centre)
    triangles = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    empty = int((triangles.max(axis=0) == 0).sum())
    if empty:
        raise UserError(
            f"dataset.front_end: {empty} of {settings.bins} mel bins lie between two frequencies "
            f"of the FFT and would be empty; set a larger n_fft than {settings.n_fft}, or fewer "
            "bins"
        )
    last = int(np.flatnonzero(triangles.any(axis=1))[-1])
    return torch.from_numpy(triangles[: last + 1].astype(np.float32).astype(np.float64))


def _mel(hertz: float) -> float:
    if hertz < BREAK_HZ:
        return hertz / HZ_PER_MEL
    return float(BREAK_MEL + np.log(hertz / BREAK_HZ) / LOG_STEP)


def _hertz(mel: np.ndarray) -> np.ndarray:
    above = BREAK_HZ * np.exp(LOG_STEP * (mel - BREAK_MEL))
    return np.where(mel < BREAK_MEL, mel * HZ_PER_MEL, above)

"""From a sound file to what a model reads: a log-mel spectrogram, or for wav2vec 2.0 the waveform.

The filter bank is Kaldi's, as Hugging Face's feature extractor calls it: re-implemented here, since
a run's numbers should not depend on the version of a library. Spectrograms stay raw in the cache;
normalising comes later, because the statistics may depend on the training split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import soundfile
import torch

from petl.config import Backbone, Statistics
from petl.config.dataset import BINS, HOP, RATE
from petl.data.resample import resample, samples_needed
from petl.errors import UserError, reason

WINDOW = 400  # 25 ms
FFT = 512
LOWEST_HZ = 20.0
PRE_EMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)
"""Digital silence becomes log(FLOOR) = -15.9, while padding is 0: the AST was trained so."""
SILENCE = 1e-7
"""Added to a waveform's variance, as wav2vec 2.0's feature extractor does."""

PROMISED = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
"""What libsndfile notes when a header announces more bytes than the file has."""
NO_LENGTH = 0x7FFF0000
"""A stream's header says about this, or more, when it was written before the end was known."""

TRIES = 100
"""To learn why a file does not open while other threads open theirs; half of the tries may fail."""

Array = TypeVar("Array")
Form = Literal["spectrogram", "waveform"]
Channel = Literal["mean", "left"]


def form_of(backbone: Backbone) -> Form:
    return "waveform" if backbone.family == "wav2vec2" else "spectrogram"


@dataclass(frozen=True)
class Recipe:
    """How a clip becomes a model's input, of one shape whatever the clip's length."""

    frames: int
    form: Form = "spectrogram"
    channel: Channel = "mean"

    @property
    def shape(self) -> tuple[int, ...]:
        is_waveform = self.form == "waveform"
        return (self.frames * HOP,) if is_waveform else (self.frames, BINS)

    def __call__(self, path: Path) -> np.ndarray:
        if self.form == "waveform":
            samples = self.frames * HOP
            return standardised(read(path, self.channel, samples), samples)
        waveform = read(path, self.channel, WINDOW + (self.frames - 1) * HOP)
        return spectrogram(waveform, self.frames)


def read(path: Path, channel: Channel = "mean", samples: int | None = None) -> np.ndarray:
    """A mono float32 waveform at 16 kHz: all of it, or no more than the first samples.

    Resampled in float64, as the released code does.
    """
    with opened(path) as sound:
        rate = sound.samplerate
        wanted = -1 if samples is None else samples_needed(samples, rate)
        channels = sound.read(wanted, always_2d=True)
    refuse_no_sound(path, channels)
    mono = channels[:, 0] if channel == "left" else channels.mean(axis=1)
    return resample(mono, rate)[:samples].astype(np.float32)


@contextmanager
def opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """To be read from; whatever is wrong with the file names it."""
    try:
        with soundfile.SoundFile(path) as sound:
            _refuse_cut_short(path, sound)
            yield sound
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: {_reason(path, error)}") from None


def refuse_no_sound(path: Path, channels: np.ndarray) -> None:
    if not channels.size:
        raise UserError(f"{path}: it holds no sound, 0 samples")
    finite = np.isfinite(channels).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        bad = channels[first][~np.isfinite(channels[first])][0]
        raise UserError(f"{path}: sample {first} is {bad}, not a finite number")


def _refuse_cut_short(path: Path, sound: soundfile.SoundFile) -> None:
    """libsndfile would read what is there and say nothing. A hundredth may be missing: some
    recorders count wrongly.
    """
    if sound.frames > 2**48:  # its way of saying that it found no end
        raise UserError(f"{path}: cut short, it has no end")
    if noted := PROMISED.search(sound.extra_info):
        promised, there = map(int, noted.groups())
        if there < 0.99 * promised and promised < NO_LENGTH:
            raise UserError(
                f"{path}: cut short, its header announces {promised} bytes of sound and "
                f"{there} are there"
            )


def _reason(path: Path, error: soundfile.LibsndfileError | OSError) -> str:
    """libsndfile does not tell a folder or a forbidden file from a broken one."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                return "the file is empty"
    except OSError as cause:
        return reason(cause)
    # libsndfile has one error code for all files that fail to open. If another thread opens a file
    # between our failure and our question for its code, the code is 0: open the file once more.
    for _ in range(TRIES):
        if getattr(error, "code", None) != 0:
            break
        try:
            soundfile.SoundFile(path).close()
        except soundfile.LibsndfileError as again:
            error = again
    return f"libsndfile cannot decode it: {getattr(error, 'error_string', error)}"


def standardised(waveform: np.ndarray, samples: int) -> np.ndarray:
    """Cut, brought to mean 0 and variance 1, then padded with zeros at the end."""
    heard = waveform[:samples].astype(np.float64)
    padded = np.zeros(samples, dtype=np.float32)
    padded[: len(heard)] = (heard - heard.mean()) / np.sqrt(heard.var() + SILENCE)
    return padded


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

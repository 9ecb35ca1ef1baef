"""From a sound file to what a model reads: a log-mel spectrogram, or for wav2vec 2.0 the waveform.

The filter bank is Kaldi's, with the settings of Hugging Face's feature extractor. It is written out
here because a run's numbers should not depend on the version of a library. The cache has raw
spectrograms; they are normalised later, because the statistics may depend on the training split.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
import torch

from petl.config import Dataset, Statistics
from petl.config.dataset import Channel, Form
from petl.config.front_end import BINS, FILTER_BANK, HOP, RATE, FilterBank, FrontEnd
from petl.data import mel
from petl.data.corpus import Clip
from petl.data.resample import resample, samples_needed
from petl.errors import UserError, reason

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

MISSING = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
"""How libsndfile logs that a header announces more bytes than the file has."""
NO_LENGTH = 0x7FFF0000
"""What a header announces, or more, when it was written to a stream before the end was known."""
RATES, CHANNELS = (1_000, 768_000), 64
BLOCK = 2**18
"""Frames decoded at a time."""
TRIES = 100
"""For the reason why a file does not open. With many threads, up to half of them may fail."""

Array = TypeVar("Array")

log = logging.getLogger(__name__)


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


def read(
    path: Path, channel: Channel = "mean", samples: int | None = None, to: int = RATE
) -> np.ndarray:
    """A mono float32 waveform at 16 kHz or another rate: all of it, or at most the first samples.

    It is resampled in float64, as in the released code.
    """
    with opened(path) as sound:
        rate = sound.samplerate
        wanted = None if samples is None else samples_needed(samples, rate, to)
        mono = [mixed(block, channel) for block in blocks(path, sound, wanted)]
        has, announced = sum(map(len, mono)), sound.frames
    if ends_early(has, announced if wanted is None else min(wanted, announced)):
        why = f"{has / rate:.1f} s of sound, but its header announces {announced / rate:.1f} s"
        log.warning("%s: ends early: %s", path, why)
    return resample(np.concatenate(mono), rate, to)[:samples].astype(np.float32)


def ends_early(samples: int, announced: int) -> bool:
    """libsndfile decodes an MP3 that was cut short without an error."""
    return samples < 0.99 * announced


def mixed(block: np.ndarray, channel: Channel) -> np.ndarray:
    if channel == "left" or block.shape[1] == 1:
        return block[:, 0]
    # numpy takes ten times as long for a mean over two
    return block.mean(axis=1) if block.shape[1] > 2 else (block[:, 0] + block[:, 1]) / 2


def blocks(
    path: Path, sound: soundfile.SoundFile, wanted: int | None = None, dtype: str = "float64"
) -> Iterator[np.ndarray]:
    """The samples (frames, channels), a block at a time, each of them a finite number.

    In one piece, memory would be set aside for as many samples as the header announces: a few bytes
    of a crafted file can announce 20 GB.
    """
    done = 0
    while wanted is None or done < wanted:
        most = BLOCK if wanted is None else min(BLOCK, wanted - done)
        block = sound.read(most, dtype=dtype, always_2d=True)
        if not len(block):
            break
        if not np.isfinite(block).all():
            first = int(np.argmin(np.isfinite(block).all(axis=1)))
            bad = block[first][~np.isfinite(block[first])][0]
            raise UserError(f"{path}: sample {done + first} is {bad}, not a finite number")
        done += len(block)
        yield block
    if not done:
        raise UserError(f"{path}: the file has 0 samples")


@contextmanager
def opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """The file, open for reading. Errors name the file."""
    try:
        with soundfile.SoundFile(path) as sound:
            _refuse_odd_header(path, sound)
            _refuse_cut_short(path, sound)
            yield sound
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: {_reason(path, error)}") from None


def _refuse_odd_header(path: Path, sound: soundfile.SoundFile) -> None:
    """Resampling takes memory by the ratio of rates, decoding by the channels."""
    if not RATES[0] <= sound.samplerate <= RATES[1]:
        raise UserError(
            f"{path}: its sample rate is {sound.samplerate} Hz; petl reads {RATES[0]} to "
            f"{RATES[1]} Hz"
        )
    if sound.channels > CHANNELS:
        raise UserError(
            f"{path}: it has {sound.channels} channels; petl reads at most {CHANNELS}, mixed to one"
        )


def _refuse_cut_short(path: Path, sound: soundfile.SoundFile) -> None:
    """libsndfile reads such a file without an error. 1% may be missing: some recorders miscount."""
    if sound.frames > 2**48:  # libsndfile's number for a file without an end
        raise UserError(f"{path}: cut short, its end is missing")
    if logged := MISSING.search(sound.extra_info):
        announced, present = map(int, logged.groups())
        if present < 0.99 * announced and announced < NO_LENGTH:
            raise UserError(
                f"{path}: cut short, its header announces {announced} bytes of sound, but it has "
                f"{present}"
            )


def _reason(path: Path, error: soundfile.LibsndfileError | OSError) -> str:
    """libsndfile's own words are missing or wrong for files that are empty, shut or tiny."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                return "the file is empty"
    except OSError as cause:
        return reason(cause)
    # libsndfile has one error code for all files that fail to open. If another thread opens a file
    # between this failure and soundfile's question for the code, the code is 0. So open it again.
    for _ in range(TRIES):
        if getattr(error, "code", None) != 0:
            break
        try:
            soundfile.SoundFile(path).close()
        except soundfile.LibsndfileError as again:
            error = again
    why = str(getattr(error, "error_string", error))
    return f"libsndfile cannot decode it: {'no sound in it' if 'not exist' in why else why}"


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
    return (power @ _mel_filters()).clamp(min=FLOOR).log().numpy()


def normalise(raw: Array, statistics: Statistics) -> Array:
    """(x - mean) / (2 std), so the result has a standard deviation of 0.5, as for the AST."""
    return (raw - statistics.mean) / (2 * statistics.std)  # type: ignore[operator]


@cache
def _mel_filters() -> torch.Tensor:
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

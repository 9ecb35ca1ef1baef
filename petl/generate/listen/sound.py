"""From raw spectrograms back to sound: the power in each mel bin, the FFT's power, then phases.

The mel bins' power becomes the power of the FFT's frequencies by multiplications that keep it
positive (Richardson and Lucy's), which fit quiet bins as well as loud ones; least squares would fit
the loud ones. The phases are Griffin and Lim's. What a spectrogram does not say is set here: with
the front end `mel`, the loudness.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import soundfile
import torch
from torch.nn import functional as F

from petl import __version__
from petl.config import Dataset, FilterBank, Image, Mel
from petl.data import features, mel
from petl.errors import UserError
from petl.terminal import printable

PADDING, AROUND = 2.0, 5
"""Frames whose values are all about 0, by their root mean square and its median over five frames,
are the AST's padding: as sound they would be noise at full scale. A generator's padding is not
exactly 0. Frames of silence are near -15.9; of 27,000 frames of real sound, none was below 2.08."""
UPDATES, PHASES = 30, 64
"""Multiplications; rounds of Griffin and Lim's."""
BESIDE = 2
"""Frames that are repeated at each end: at its very edge a sound depends on half a window."""
LOUDEST = 0.5
"""The peak of a sound whose spectrogram does not say how loud it is."""
DECIBELS = 10 / np.log(10)
"""Of a natural logarithm of power."""
HEARD = 60.0
"""Decibels below a clip's loudest bin; what is quieter counts as that quiet in an error."""
TINY = 1e-30
MOST = 300
"""Letters of a file's metadata."""


@dataclass(frozen=True)
class Back:
    """The way back from the raw spectrograms of a dataset."""

    dataset: Dataset

    def __post_init__(self) -> None:
        front_end = self.dataset.front_end
        if isinstance(front_end, Image):
            raise UserError(
                "dataset.front_end 'image': a picture stretched to a square has no way back to "
                "sound; use 'ast' or 'mel'"
            )
        if isinstance(front_end, Mel) and front_end.hop > front_end.n_fft // 2:
            raise UserError(
                f"dataset.front_end.hop {front_end.hop} is more than half of n_fft "
                f"{front_end.n_fft}: windows that hardly overlap have no way back to sound"
            )

    @property
    def rate(self) -> int:
        return self.dataset.front_end.rate

    @property
    def knows_level(self) -> bool:
        """Does a spectrogram say how loud its sound is?"""
        return isinstance(self.dataset.front_end, FilterBank)

    def sound(self, raw: np.ndarray, seed: int) -> np.ndarray:
        """Mono float32 at `rate`, the same to the last bit for the same seed."""
        front_end = self.dataset.front_end
        if isinstance(front_end, Mel):
            return _of_mel(raw, front_end, seed)
        return _of_filter_bank(raw, seed)

    def spectrogram(self, sound: np.ndarray) -> np.ndarray:
        """As `Recipe` makes it of a file."""
        recipe = features.Recipe.of(self.dataset, "spectrogram")
        return recipe.input(sound[: recipe.samples])

    def error(self, raw: np.ndarray, sound: np.ndarray) -> float:
        """Decibels between a spectrogram and that of the sound made of it, on average over its
        bins. Frames of padding do not count; without any other there is none, which is no number.
        """
        if isinstance(self.dataset.front_end, Mel):
            before, after = _decibels(raw), _decibels(self.spectrogram(sound))
        else:
            energies = _unpadded(raw)
            before = DECIBELS * energies
            after = DECIBELS * self.spectrogram(sound).astype(np.float64)[: len(energies)]
        if not len(before):
            return float("nan")
        lowest = before.max() - HEARD
        return float(np.abs(np.maximum(before, lowest) - np.maximum(after, lowest)).mean())


# --- the AST's filter bank


def _of_filter_bank(raw: np.ndarray, seed: int) -> np.ndarray:
    from scipy.signal import lfilter

    energies = _unpadded(raw)
    if not len(energies):
        return np.zeros(features.WINDOW, dtype=np.float32)
    power = _spectrum(np.exp(energies), features.mel_filters().numpy())
    window = np.hanning(features.WINDOW)
    emphasised = _with_phases(power, window, features.FFT, features.HOP, seed)
    # librosa has frames around a sample, Kaldi from a sample on: half a window earlier
    start = BESIDE * features.HOP - features.WINDOW // 2
    sound = lfilter([1.0], [1.0, -features.PRE_EMPHASIS], emphasised)
    return sound[start : start + features.samples_of(len(energies))].astype(np.float32)


def _unpadded(raw: np.ndarray) -> np.ndarray:
    """In float64; padding ends the sound, and is silence in its middle."""
    from scipy.ndimage import median_filter

    energies = raw.astype(np.float64)
    power = np.square(energies).mean(axis=1)
    padding = median_filter(np.sqrt(power), AROUND, mode="nearest") < PADDING
    rest = np.cumsum(power[::-1])[::-1] / np.arange(len(power), 0, -1)
    ends = padding & (np.sqrt(rest) < PADDING)
    energies[padding] = np.log(features.FLOOR)
    return energies[: np.argmax(ends)] if ends.any() else energies


# --- librosa's mel spectrogram


def _of_mel(raw: np.ndarray, front_end: Mel, seed: int) -> np.ndarray:
    decibels = _decibels(raw)
    if len(decibels) != front_end.computed_frames:
        size = (front_end.computed_frames, front_end.bins)
        drawn = torch.from_numpy(decibels)[None, None]
        decibels = F.interpolate(drawn, size, mode="bilinear", align_corners=False).numpy()[0, 0]
    bank = mel.filters(front_end).numpy()
    frequencies = front_end.n_fft // 2 + 1
    bank = np.pad(bank, ((0, frequencies - len(bank)), (0, 0)))
    power = _spectrum(10 ** (decibels / 10), bank)
    window = np.hanning(front_end.n_fft + 1)[:-1]
    sound = _with_phases(power, window, front_end.n_fft, front_end.hop, seed)
    start = BESIDE * front_end.hop
    sound = sound[start : start + front_end.samples_of(len(raw))]
    sound = np.pad(sound, (0, front_end.samples_of(len(raw)) - len(sound)))
    return (sound * (LOUDEST / max(np.abs(sound).max(), TINY))).astype(np.float32)


def _decibels(raw: np.ndarray) -> np.ndarray:
    """Against the loudest. A clip's own deviation is not in its spectrogram; the quietest bin is
    taken to be at the front end's floor, where it is in nearly all clips."""
    below = raw.astype(np.float64) - raw.max()
    return below * (mel.DECIBELS / max(-below.min(), mel.TINY))


# --- what both share


def _spectrum(power: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """(frequencies, frames) of the power (frames, bins) in the mel bins of a bank (frequencies,
    bins). A frequency in no bin gets none."""
    wanted, bank = power.T, bank.astype(np.float64)
    weight = bank.sum(axis=1, keepdims=True)
    found = np.where(weight > 0, wanted.mean(axis=0) / bank.sum(axis=0).mean(), 0.0)
    for _ in range(UPDATES):
        ratio = wanted / np.maximum(bank.T @ found, TINY)
        found *= (bank @ ratio) / np.maximum(weight, TINY)
    return found


def _with_phases(
    power: np.ndarray, window: np.ndarray, n_fft: int, hop: int, seed: int
) -> np.ndarray:
    """From the centre of the first of the repeated frames to that of the last."""
    from librosa import griffinlim

    magnitudes = np.pad(np.sqrt(power), ((0, 0), (BESIDE, BESIDE)), mode="edge")
    return griffinlim(
        magnitudes,
        n_iter=PHASES,
        hop_length=hop,
        win_length=len(window),
        n_fft=n_fft,
        window=window,
        random_state=seed,
    )


# --- files


def wav(sound: np.ndarray, rate: int, title: str, comment: str) -> bytes:
    """16 bits. What the sound is stands in its metadata: a copy without its folder says it too."""
    loudest = float(np.abs(sound).max(initial=0))
    if loudest > 1:
        comment += f"; {20 * np.log10(loudest):.1f} dB quieter than made, to be whole in 16 bits"
        sound = sound / loudest
    file = BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, "PCM_16", format="WAV") as written:
        written.title, written.comment = _line(title), _line(comment)
        written.software = f"petl-ast {__version__}"
        written.write(sound)
    return file.getvalue()


def _line(text: str) -> str:
    """libsndfile drops what is long without a word, and a name may hold anything."""
    line = " ".join(printable(text).split())
    return line if len(line) <= MOST else f"{line[:MOST]}..."

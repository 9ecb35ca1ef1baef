"""The synthetic corpus of the quickstart: ten classes of one-second clips in ESC-50's layout.

With it the suite can be tried without a download. Each class has a recipe whose parameters (pitch,
rate, depth, level, onset, length) are drawn for each clip, and coloured noise is added. A person
can name a class from its spectrogram, but it is hard enough to tell methods of fine-tuning apart.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from petl.files import staging

Recipe = Callable[[Generator, int], np.ndarray]
"""From a random generator and a number of samples to a waveform."""
Shape = Callable[[np.ndarray], np.ndarray]
"""From frequencies to amplitudes."""

NAME, RECORDINGS = "made-sounds", "made-recordings"
RATE = 16_000
SAMPLES = RATE
SEED = 10
SNR_DB = (6.0, 26.0)
"""Signal-to-noise ratio while the sound lasts."""
LEVEL_DB = (-24.0, -6.0)
"""The clip's peak relative to full scale."""

README = """Made sounds: {count} clips of ten classes, one second each, 16 kHz, 16 bit, mono.

petl-ast made these files itself (petl/data/synthetic/quickstart.py, seed {seed}): they are not
recordings. Each clip has its own random generator, seeded by (seed, class, fold, take): delete this
folder, and the same files are made again. The layout is ESC-50's: meta/esc50.csv and
audio/<fold>-<source>-<take>-<target>.wav.
"""


# --- building blocks ----------------------------------------------------------------------------


def between(rng: Generator, low: float, high: float) -> float:
    """Log-uniform, because pitches and rates are perceived as ratios."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def seconds(samples: int) -> np.ndarray:
    return np.arange(samples) / RATE


def sine(hertz: np.ndarray | float, samples: int) -> np.ndarray:
    """A sine; its frequency may be an array with a value for each sample."""
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(hertz, samples)) / RATE)


def fade(samples: int, attack: float, release: float) -> np.ndarray:
    """Rises for `attack` seconds, falls in the last `release` seconds; an edge would click."""
    t = seconds(samples)
    return np.clip(np.minimum(t / attack, (samples / RATE - t) / release), 0, 1)


def coloured_noise(rng: Generator, samples: int, slope: float) -> np.ndarray:
    """Its level falls by `slope` x 6 dB per octave; 0 is white noise."""
    return _shaped_noise(rng, samples, lambda hertz: np.maximum(hertz, 50.0) ** -slope)


def band_noise(rng: Generator, samples: int, centre: float, ratio: float) -> np.ndarray:
    """Around `centre` hertz, fading out towards centre / ratio and centre * ratio."""

    def bell_curve(hertz: np.ndarray) -> np.ndarray:
        return np.exp(-np.square(np.log(np.maximum(hertz, 1) / centre) / np.log(ratio)))

    return _shaped_noise(rng, samples, bell_curve)


def _shaped_noise(rng: Generator, samples: int, shape: Shape) -> np.ndarray:
    """Of unit power."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    noise = np.fft.irfft(spectrum * shape(np.fft.rfftfreq(samples, 1 / RATE)), samples)
    return noise / np.sqrt(np.mean(np.square(noise)))


# --- the ten classes ---------------------------------------------------------------------------


def steady_tone(rng: Generator, samples: int) -> np.ndarray:
    return sine(between(rng, 250, 4000), samples) * fade(samples, 0.02, 0.05)


def rising_chirp(rng: Generator, samples: int) -> np.ndarray:
    low, ratio = between(rng, 250, 2500), between(rng, 1.3, 3)
    return sine(low * ratio ** np.linspace(0, 1, samples), samples) * fade(samples, 0.02, 0.05)


def falling_chirp(rng: Generator, samples: int) -> np.ndarray:
    low, ratio = between(rng, 250, 2500), between(rng, 1.3, 3)
    return sine(low * ratio ** np.linspace(1, 0, samples), samples) * fade(samples, 0.02, 0.05)


def noise_burst(rng: Generator, samples: int) -> np.ndarray:
    """Starts suddenly and dies away, the opposite of a swell."""
    decay = np.exp(-np.linspace(0, rng.uniform(2.5, 6), samples))
    return band_noise(rng, samples, between(rng, 500, 3500), between(rng, 1.6, 4)) * decay


def click_train(rng: Generator, samples: int) -> np.ndarray:
    gap = int(RATE / between(rng, 8, 30))
    ring = int(0.01 * RATE)
    click = sine(between(rng, 800, 4000), ring) * np.exp(-np.linspace(0, rng.uniform(4, 9), ring))
    train = np.zeros(samples + ring)
    train[rng.integers(gap) : samples : gap] = 1
    return np.convolve(train, click)[:samples]


def am_tone(rng: Generator, samples: int) -> np.ndarray:
    depth, rate = rng.uniform(0.8, 1), between(rng, 4, 14)
    swing = np.sin(2 * np.pi * (rate * seconds(samples) + rng.random()))
    return sine(between(rng, 250, 4000), samples) * (1 + depth * swing) * fade(samples, 0.02, 0.05)


def warble(rng: Generator, samples: int) -> np.ndarray:
    depth, rate = between(rng, 0.05, 0.2), between(rng, 4, 10)
    swing = np.sin(2 * np.pi * (rate * seconds(samples) + rng.random()))
    return sine(between(rng, 300, 3500) * (1 + depth * swing), samples) * fade(samples, 0.02, 0.05)


def harmonic_stack(rng: Generator, samples: int) -> np.ndarray:
    pitch, tilt = between(rng, 120, 600), rng.uniform(0.3, 1.2)
    partials = range(1, int(rng.integers(4, 9)))
    return sum(sine(pitch * k, samples) / k**tilt for k in partials) * fade(samples, 0.02, 0.05)


def melody_step(rng: Generator, samples: int) -> np.ndarray:
    """Two notes, the second four to twelve semitones higher or lower."""
    step = 2 ** (rng.choice([-1, 1]) * rng.integers(4, 13) / 12)
    second = np.arange(samples) > samples * rng.uniform(0.35, 0.65)
    pitch = between(rng, 350, 3000)
    return sine(np.where(second, pitch * step, pitch), samples) * fade(samples, 0.02, 0.05)


def noise_swell(rng: Generator, samples: int) -> np.ndarray:
    rise = np.linspace(0, 1, samples) ** rng.uniform(1.5, 3)
    return band_noise(rng, samples, between(rng, 500, 3500), between(rng, 1.6, 4)) * rise


CLASSES: tuple[Recipe, ...] = (steady_tone, rising_chirp, falling_chirp, noise_burst, click_train)
CLASSES += (am_tone, warble, harmonic_stack, melody_step, noise_swell)


# --- clips ---------------------------------------------------------------------------------------


def clip(
    rng: Generator,
    recipe: Recipe,
    snr_db: tuple[float, float] = SNR_DB,
    level_db: tuple[float, float] = LEVEL_DB,
) -> np.ndarray:
    """One second of noise with the sound somewhere in it, at random levels; its peak is below 1."""
    samples = int(rng.uniform(0.4, 0.85) * SAMPLES)
    onset = rng.integers(SAMPLES - samples)
    sound = recipe(rng, samples)
    mixed = coloured_noise(rng, SAMPLES, rng.uniform(0, 1))
    loudness = 10 ** (rng.uniform(*snr_db) / 20)
    mixed[onset : onset + samples] += sound * loudness / np.sqrt(np.mean(np.square(sound)))
    return mixed / np.abs(mixed).max() * 10 ** (rng.uniform(*level_db) / 20)


def make_recordings(folder: Path) -> None:
    """300 clips, five cut from each recording: the same sound at other times in other noise."""
    make_corpus(folder, seed=14, folds=3, alike=5)


def make_corpus(
    folder: Path, seed: int = SEED, folds: int = 5, takes: int = 10, alike: int = 1
) -> None:
    """Write the corpus. A folder that already exists stays as it is. `alike`: clips of a recording.

    The folder appears under its name only when complete. If two processes write it at the same
    time, the first one to finish wins.
    """
    appear(folder, lambda new: _write(new, seed, folds, takes, alike))


def appear(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder that appears when it is complete; one that exists stays as it is."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staging(folder) as temporary:
        write(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _recorded(recipe: Recipe, key: tuple[int, ...]) -> Recipe:
    """One sound of a class: its parameters come from the recording, not from the clip."""
    return lambda rng, samples: recipe(np.random.default_rng((*key, 1)), samples)


def _write(folder: Path, seed: int, folds: int, takes: int, alike: int) -> None:
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    rows = []
    for fold in range(1, folds + 1):
        for target, recipe in enumerate(CLASSES):
            for take in range(takes):
                recording, letter = take // alike, chr(ord("A") + take % alike)
                source = f"{fold}{target:02}{recording:03}"
                file = f"{fold}-{source}-{letter}-{target}.wav"
                rng = np.random.default_rng((seed, target, fold, take))
                sound = recipe if alike == 1 else _recorded(recipe, (seed, target, fold, recording))
                samples = np.round(clip(rng, sound) * 32767).astype(np.int16)
                soundfile.write(folder / "audio" / file, samples, RATE)
                rows.append([file, fold, target, recipe.__name__, False, source, letter])
    with (folder / "meta" / "esc50.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        table.writerows(rows)
    (folder / "README.txt").write_text(README.format(count=len(rows), seed=seed))

"""Twenty kinds of synthetic sound to pre-train the small AST on, none of them a quickstart class.

They are to the quickstart's classes what AudioSet is to ESC-50: the same ingredients (pitch,
rhythm, glides, noise) in other categories, so that what is learnt here transfers.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.signal import lfilter

from petl.data.synthetic.quickstart import (
    RATE,
    SAMPLES,
    Recipe,
    band_noise,
    between,
    clip,
    coloured_noise,
    fade,
    seconds,
    sine,
)

SNR_DB = (-8.0, 14.0)
LEVEL_DB = (-36.0, -6.0)
"""Wider and lower than those of the quickstart's classes: the backbone should cope with noise."""

# --- steady pitch --------------------------------------------------------------------------------


def square(rng: Generator, samples: int) -> np.ndarray:
    return np.sign(sine(between(rng, 80, 1200), samples)) * fade(samples, 0.02, 0.05)


def saw_pair(rng: Generator, samples: int) -> np.ndarray:
    """Two sawtooth waves slightly out of tune, so they beat."""
    pitch = between(rng, 80, 1000)
    pair = pitch * seconds(samples) * np.array([[1.0], [between(rng, 1.01, 1.04)]])
    return (2 * (pair % 1) - 1).sum(axis=0) * fade(samples, 0.02, 0.05)


def swept_pulse(rng: Generator, samples: int) -> np.ndarray:
    """A pulse wave whose duty cycle changes, so that its harmonics come and go."""
    duty = np.linspace(*rng.permutation([0.04, 0.5]), samples)
    return ((between(rng, 90, 700) * seconds(samples) % 1) < duty) - duty


def ring_modulated(rng: Generator, samples: int) -> np.ndarray:
    carrier = between(rng, 500, 3000)
    return sine(carrier, samples) * sine(carrier * rng.uniform(0.15, 0.45), samples)


def chord(rng: Generator, samples: int) -> np.ndarray:
    root, third = between(rng, 250, 1500), rng.choice([3, 4])
    notes = root * 2 ** (np.array([0, third, 7]) / 12)
    return sum(sine(note, samples) for note in notes) * fade(samples, 0.05, 0.2)


def pluck(rng: Generator, samples: int) -> np.ndarray:
    """A plucked string by Karplus and Strong: a burst of noise in a damped delay line."""
    period = int(RATE / between(rng, 90, 700))
    burst = np.zeros(samples)
    burst[:period] = rng.uniform(-1, 1, period)
    loop = np.zeros(period + 2)
    loop[0], loop[-2:] = 1, -0.5 * rng.uniform(0.985, 0.999)
    return lfilter([1.0], loop, burst)


def bell(rng: Generator, samples: int) -> np.ndarray:
    pitch = between(rng, 250, 1200)
    partials = pitch * np.array([1, 2.76, 5.4]) * rng.uniform(0.97, 1.03, 3)
    decay = seconds(samples) * rng.uniform(3, 7)
    return sum(sine(hz, samples) * np.exp(-decay * k) for k, hz in enumerate(partials, start=1))


def vowel(rng: Generator, samples: int) -> np.ndarray:
    """Glottal pulses through three fixed resonances (formants) while the pitch drifts."""
    pitch = between(rng, 90, 300) * np.linspace(1, rng.uniform(0.9, 1.1), samples)
    phase = np.cumsum(pitch) / RATE
    sound = np.diff(np.floor(phase), prepend=0.0)
    for low, high, width in ((300, 900, 80), (900, 2300, 110), (2400, 3300, 150)):
        radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * between(rng, low, high) / RATE
        sound = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], sound)
    return sound * fade(samples, 0.04, 0.08)


# --- moving pitch -------------------------------------------------------------------------------


def arch(rng: Generator, samples: int) -> np.ndarray:
    return _bow(rng, samples, np.sin(np.linspace(0, np.pi, samples)))


def dip(rng: Generator, samples: int) -> np.ndarray:
    return _bow(rng, samples, 1 - np.sin(np.linspace(0, np.pi, samples)))


def _bow(rng: Generator, samples: int, shape: np.ndarray) -> np.ndarray:
    pitch = between(rng, 250, 2000) * between(rng, 1.2, 3) ** shape
    return sine(pitch, samples) * fade(samples, 0.02, 0.05)


def siren(rng: Generator, samples: int) -> np.ndarray:
    """The pitch goes up and down in straight lines, further than that of a warble."""
    turns = (between(rng, 2, 4) * seconds(samples) + rng.random()) % 1
    return sine(between(rng, 350, 1500) * between(rng, 1.5, 2.5) ** np.abs(2 * turns - 1), samples)


def trill(rng: Generator, samples: int) -> np.ndarray:
    """Two notes alternate quickly."""
    upper = (between(rng, 8, 20) * seconds(samples)) % 1 < 0.5
    pitch, step = between(rng, 300, 3000), 2 ** (rng.integers(1, 5) / 12)
    return sine(np.where(upper, pitch * step, pitch), samples) * fade(samples, 0.02, 0.05)


def scale(rng: Generator, samples: int) -> np.ndarray:
    """Four to seven notes in a random order."""
    notes = rng.permutation(int(rng.integers(4, 8))) * rng.integers(1, 4)
    pitches = between(rng, 250, 1500) * 2 ** (notes / 12)
    return sine(pitches[np.arange(samples) * len(notes) // samples], samples)


def drips(rng: Generator, samples: int) -> np.ndarray:
    """Short blips at random times that rise in pitch, as a closing bubble does."""
    length = int(0.06 * RATE)
    made = np.zeros(samples + length)
    for onset in rng.integers(samples, size=rng.integers(3, 8)):
        rise = between(rng, 500, 2500) * np.linspace(1, rng.uniform(1.3, 2), length)
        made[onset : onset + length] += sine(rise, length) * np.exp(-np.linspace(0, 5, length))
    return made[:samples]


# --- rhythm and noise ----------------------------------------------------------------------------


def beeps(rng: Generator, samples: int) -> np.ndarray:
    on = (between(rng, 4, 9) * seconds(samples)) % 1 < rng.uniform(0.3, 0.6)
    return sine(between(rng, 300, 3500), samples) * on


def rhythm(rng: Generator, samples: int) -> np.ndarray:
    """Hits of noise on a grid of eight beats, three of them left out."""
    beat = samples // 8
    hit = np.exp(-np.linspace(0, rng.uniform(4, 9), beat))
    played = rng.permutation([1, 1, 1, 1, 0, 0, 0, 1])
    pattern = np.pad(np.outer(played, hit).ravel(), (0, samples - 8 * beat))
    return band_noise(rng, samples, between(rng, 600, 3500), 2) * pattern


def crackle(rng: Generator, samples: int) -> np.ndarray:
    """Impulses at random times."""
    clicks = (rng.random(samples) < between(rng, 30, 200) / RATE) * rng.standard_normal(samples)
    clicks[rng.integers(samples)] = 1  # at least one click
    return lfilter([1.0], [1, -rng.uniform(0.5, 0.9)], clicks)


def noise_tremolo(rng: Generator, samples: int) -> np.ndarray:
    swing = np.sin(2 * np.pi * (between(rng, 4, 18) * seconds(samples) + rng.random()))
    tremolo = 1 + rng.uniform(0.7, 1) * swing
    return band_noise(rng, samples, between(rng, 500, 3500), between(rng, 1.5, 4)) * tremolo


def noise_glide(rng: Generator, samples: int) -> np.ndarray:
    """A band of noise that glides up or down: slow noise modulates a gliding tone."""
    ends = between(rng, 400, 1200) * np.array([1, between(rng, 2, 4)])
    glide = np.geomspace(*rng.permutation(ends), samples)
    return sine(glide, samples) * band_noise(rng, samples, 60, 3)


def engine(rng: Generator, samples: int) -> np.ndarray:
    """Low noisy pulses that speed up or slow down."""
    ends = between(rng, 25, 60) * np.array([1, between(rng, 1.3, 2.5)])
    rate = np.geomspace(*rng.permutation(ends), samples)
    pulse = np.exp(-8 * (np.cumsum(rate) / RATE % 1))
    return pulse * (sine(rate * 3, samples) + coloured_noise(rng, samples, 1))


STEADY: tuple[Recipe, ...] = (square, saw_pair, swept_pulse, ring_modulated)
STEADY += (chord, pluck, bell, vowel)
MOVING: tuple[Recipe, ...] = (arch, dip, siren, trill, scale, drips)
NOISY: tuple[Recipe, ...] = (beeps, rhythm, crackle, noise_tremolo, noise_glide, engine)
KINDS = STEADY + MOVING + NOISY


def pretraining_sounds(rng: Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n waveforms (n, 16000) in float32, and their kinds 0..19."""
    labels = rng.integers(len(KINDS), size=n)
    waveforms = np.empty((n, SAMPLES), dtype=np.float32)
    for row, label in zip(waveforms, labels, strict=True):
        row[:] = clip(rng, KINDS[label], SNR_DB, LEVEL_DB)
    return waveforms, labels

"""The resampler against the library whose filter it writes down."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from resampy import resample as resampy

from petl.config.front_end import RATE
from petl.data.resample import resample, samples_needed

RATES = [8000, 11025, 12000, 22050, 24000, 32000, 44056, 44100, 48000, 96000, 192000]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples)


@pytest.mark.parametrize("rate", RATES)
def test_noise_comes_out_as_the_library_makes_it(rate):
    waveform = noise(rate + 17)
    theirs = resampy(waveform, rate, RATE, filter="kaiser_best")
    ours = resample(waveform, rate)
    assert len(ours) - len(theirs) in (0, 1)
    np.testing.assert_allclose(ours[: len(theirs)], theirs, rtol=0, atol=1e-13)
    assert not ours[len(theirs) :].any()


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize("samples", [3, 50, 439, 441, 442, 700])
def test_short_clips_too_where_all_is_edge(rate, samples):
    waveform = noise(samples)
    theirs = resampy(waveform, rate, RATE, filter="kaiser_best")
    np.testing.assert_allclose(resample(waveform, rate)[: len(theirs)], theirs, rtol=0, atol=1e-13)


def test_a_long_recording_stays_in_step_with_the_librarys_clock():
    """Its rounding errors grow with time; a minute in, ours have grown alike."""
    waveform = np.zeros(60 * 44100)
    waveform[-44100:] = noise(44100)
    theirs = resampy(waveform, 44100, RATE, filter="kaiser_best")
    np.testing.assert_allclose(
        resample(waveform, 44100)[-RATE:], theirs[-RATE:], rtol=0, atol=1e-13
    )


def test_lengths_are_those_of_librosa():
    for rate, samples in [(44100, 220500), (44100, 220501), (22050, 88200), (48000, 1000)]:
        theirs = librosa.resample(
            noise(samples), orig_sr=rate, target_sr=RATE, res_type="kaiser_best"
        )
        ours = resample(noise(samples), rate)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


def test_a_rate_that_shares_no_factor_with_ours_works():
    waveform = noise(2000)
    theirs = resampy(waveform, 15_991, RATE, filter="kaiser_best")
    ours = resample(waveform, 15_991)
    np.testing.assert_allclose(ours[: len(theirs)], theirs, rtol=0, atol=1e-13)


def test_the_sounds_own_rate_changes_nothing():
    waveform = noise(100)
    assert resample(waveform, RATE) is waveform


@pytest.mark.parametrize("rate", RATES)
def test_tones_keep_their_pitch_and_height_and_what_cannot_be_kept_goes(rate):
    seconds, t = np.arange(RATE) / RATE, np.arange(rate) / rate
    middle = slice(RATE // 4, 3 * RATE // 4)
    kept = resample(np.sin(2 * np.pi * 440 * t), rate)
    np.testing.assert_allclose(kept[middle], np.sin(2 * np.pi * 440 * seconds)[middle], atol=2e-3)
    if rate > 2 * 9000:
        assert np.abs(resample(np.sin(2 * np.pi * 9000 * t), rate)[middle]).max() < 1e-4


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_next_to_nothing_gives_next_to_nothing(samples):
    assert len(resample(np.ones(samples), 44100)) == min(samples, 1)


@pytest.mark.parametrize("rate", RATES)
def test_the_first_outputs_need_only_the_first_inputs(rate):
    waveform = noise(rate)
    needed = samples_needed(4000, rate)
    assert needed < rate * 0.3
    part = resample(waveform[:needed], rate)[:4000]
    np.testing.assert_allclose(part, resample(waveform, rate)[:4000], rtol=0, atol=1e-14)
    fewer = resample(waveform[: needed - needed // 50], rate)[:4000]
    assert len(fewer) < 4000 or np.abs(fewer - part).max() > 1e-9


def test_a_long_recording_is_the_same_in_parts(monkeypatch):
    waveform = noise(44100)
    whole = resample(waveform, 44100)
    monkeypatch.setattr("petl.data.resample.CHUNK", 5000)
    np.testing.assert_allclose(resample(waveform, 44100), whole, rtol=0, atol=1e-14)

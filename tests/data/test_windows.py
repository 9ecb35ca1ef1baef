"""A long recording as windows: all of it is heard, each window like a clip, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from petl.config.front_end import RATE
from petl.data.decode import read
from petl.data.features import Recipe
from petl.data.resample import resample, resample_blocks
from petl.data.windows import windows
from petl.errors import UserError

SPECTROGRAM, WAVEFORM = Recipe(100), Recipe(100, "waveform")


def sound(path: Path, seconds: float, rate: int = RATE, channels: int = 2) -> Path:
    samples = 0.1 * np.random.default_rng(3).standard_normal((round(seconds * rate), channels))
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("recipe", [SPECTROGRAM, WAVEFORM], ids=["spectrogram", "waveform"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("seconds", [0.01, 1.0, 1.009])
def test_a_clip_no_longer_than_a_window_keeps_its_bits(recipe, rate, seconds, tmp_path) -> None:
    file = sound(tmp_path / "clip.wav", seconds, rate)
    (window,) = windows(file, recipe, 50)
    assert window.input.tobytes() == recipe(file).tobytes()
    assert (window.start, window.position) == (0.0, 1.0)
    assert window.end == pytest.approx(min(seconds, 1.0), abs=1e-3)


@pytest.mark.parametrize("recipe", [SPECTROGRAM, WAVEFORM], ids=["spectrogram", "waveform"])
@pytest.mark.parametrize("rate", [16_000, 96_000])
def test_each_window_is_that_part_of_the_recording(recipe, rate, tmp_path) -> None:
    """With a hop of 0.4 s through 9.13 s; the last window ends with the last whole frame."""
    file = sound(tmp_path / "long.wav", 9.13, rate)
    found = list(windows(file, recipe, 40))
    starts = [window.start for window in found]
    assert starts[:-1] == pytest.approx(np.arange(len(found) - 1) * 0.4)
    assert len(found) == 22
    assert starts[-1] == pytest.approx(8.13 if recipe is WAVEFORM else 8.11, abs=0.011)
    whole = read(file)
    for window in (found[0], found[13], found[-1]):
        first = round(window.start * RATE)
        expected = recipe.input(whole[first : first + recipe.samples])
        assert window.input == pytest.approx(expected, abs=1e-3)
        assert window.end - window.start == pytest.approx(1)
    assert [window.position for window in found] == sorted(window.position for window in found)


def test_a_hop_may_be_longer_than_a_window(tmp_path) -> None:
    file = sound(tmp_path / "long.wav", 10)
    found = [round(window.start, 2) for window in windows(file, WAVEFORM, 300)]
    assert found == [0, 3, 6, 9]


def test_blocks_are_resampled_as_a_whole_waveform_is() -> None:
    for rate in (22_050, 8_000):
        samples = np.random.default_rng(rate).standard_normal(2 * rate + 123)
        blocks = [samples[i : i + 5_021] for i in range(0, len(samples), 5_021)]
        pieces = list(resample_blocks(iter(blocks), rate))
        assert np.concatenate(pieces) == pytest.approx(resample(samples, rate), abs=1e-9)
        assert len(pieces) > 1


def test_a_long_recording_takes_little_memory(tmp_path) -> None:
    """Two minutes are 15 MB of samples; the same 14 MB do for an hour."""
    file = sound(tmp_path / "long.wav", 120, channels=1)
    tracemalloc.start()
    count = sum(1 for _ in windows(file, SPECTROGRAM, 1_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 13
    assert peak < 14e6


def test_a_bad_sample_far_inside_is_an_error_of_the_file(tmp_path) -> None:
    samples = np.zeros(20 * RATE, dtype=np.float32)
    samples[300_000] = np.nan
    soundfile.write(tmp_path / "bad.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(UserError, match="sample 300000 is nan"):
        list(windows(tmp_path / "bad.wav", SPECTROGRAM, 100))

"""The released score of 0 to 100, against what was recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from petl.data.ridge import mel_statistics
from petl.generate.measures.distances import frechet_distance
from petl.generate.measures.released_score import combined, released_score, summaries

RELATIVE = 1e-6


def checked(real: np.ndarray, made: np.ndarray, known: dict) -> None:
    """Spectrograms (clips, frames, bins)."""
    found = released_score(*summaries(real, made))
    by_mel = frechet_distance(mel_statistics(real), mel_statistics(made))
    assert by_mel == pytest.approx(known["frechet_mel_mean_std"], rel=RELATIVE)
    other = combined(by_mel, found["frequency_correlation"], found["smoothness_ratio"])
    assert other == pytest.approx(known["score_0_100_feature_fd"], rel=RELATIVE)
    assert found.pop("score_0_100") == pytest.approx(known["score_0_100"]["value"], rel=RELATIVE)
    assert found.pop("frechet_flat") == pytest.approx(known["frechet_flat"], rel=RELATIVE)
    for name, value in found.items():
        assert value == pytest.approx(known[name], rel=RELATIVE), name


def test_the_score_and_its_parts_are_those_recorded(golden: Path) -> None:
    known = json.loads((golden / "released_score.json").read_text())
    draw = np.random.RandomState(known["seed"])  # its numbers are the same in every version
    real, made = (draw.standard_normal(known["shape"]) for _ in range(2))
    made = known["scale"] * made + np.linspace(*known["slope"], known["shape"][2])
    checked(real + np.linspace(0, 1, known["shape"][2]), made, known["quality"])


def test_the_score_and_its_parts_are_those_of_the_notebooks(shared_data: Path) -> None:
    folder = shared_data.parent / "golden_emotion"
    if not folder.is_dir():
        pytest.skip(f"recorded numbers are not here: {folder} does not exist")
    known = json.loads((folder / "index.json").read_text())["quality"]
    arrays = np.load(folder / "arrays.npz")
    real, made = (arrays[f"quality/{name}"].transpose(0, 2, 1) for name in ("real", "fake"))
    checked(real, made, known)


def test_clips_that_equal_the_real_ones_score_100() -> None:
    clips = np.random.default_rng(0).normal(size=(6, 5, 4))
    found = released_score(*summaries(clips, clips.copy()))
    assert found["score_0_100"] == pytest.approx(100, abs=1e-4)


def test_constant_clips_have_no_score_and_no_warning() -> None:
    found = released_score(*summaries(np.ones((3, 4, 2)), np.zeros((3, 4, 2))))
    assert np.isnan(found["score_0_100"]) and found["mean_difference"] == 1

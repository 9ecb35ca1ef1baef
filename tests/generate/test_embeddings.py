"""Clips as points of two frozen encoders and of mel statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from petl.backbones.families import build_encoder
from petl.config import Statistics, Task
from petl.config.study import expand
from petl.data.features import normalise
from petl.data.ridge import mel_statistics
from petl.generate.measures.embeddings import encoders

TINY = str(Path(__file__).parent.parent / "golden" / "ast_tiny")
STATISTICS = Statistics(mean=-4.0, std=2.5)
SHAPE = {"hidden": 8, "layers": 1, "heads": 2, "mlp": 8, "patch": 4}
SHAPE |= {"frequency_stride": 4, "time_stride": 4}


def task(frames: int = 40, name: str = "esc10", **backbone: object) -> Task:
    settings = {"backbone": {"source": TINY, **backbone}, "dataset": {"frames": frames}}
    if name != "esc10":
        mel = {"kind": "mel", "rate": 16000, "n_fft": 512, "hop": 160, "bins": 12, "fmin": 50.0}
        front_end = mel | {"fmax": 8000.0, "seconds": 1.0, "stretch": True}
        settings["dataset"] |= {"front_end": front_end, "statistics": "clip"}
    matrix = {"dataset": "esc10", "backbone": "ast", "method": "linear", "fold": 0, "seed": 0}
    return expand({"profile": "as-intended", "matrix": matrix, "set": settings}, "study")[0]


def clips(number: int, frames: int = 40, bins: int = 128) -> np.ndarray:
    draws = np.random.default_rng(0)
    return draws.normal(-4, 2.5, size=(number, frames, bins)).astype(np.float32)


def test_the_backbone_hears_what_the_study_hears_and_its_tokens_are_averaged() -> None:
    one, inputs, rows = task(), clips(20), np.array([17, 3, 4])
    points = encoders(one, STATISTICS, 128)[""](inputs, rows)
    with torch.no_grad():
        encoder = build_encoder(one.backbone, 40).eval()
        x = normalise(torch.from_numpy(inputs[rows]), STATISTICS)
        expected = encoder(x).mean(dim=1).numpy()
    assert points.dtype == np.float64
    np.testing.assert_allclose(points, expected, atol=1e-5)


def test_points_are_the_same_in_any_batch() -> None:
    inputs = clips(20)
    for embed in encoders(task(), STATISTICS, 128).values():
        whole = embed(inputs, np.arange(20))
        assert whole.shape[0] == 20
        np.testing.assert_allclose(embed(inputs, np.arange(16, 20)), whole[16:], atol=1e-5)


def test_mel_statistics_are_of_the_raw_spectrogram() -> None:
    inputs, rows = clips(5), np.array([4, 0])
    points = encoders(task(), STATISTICS, 128)["mel"](inputs, rows)
    np.testing.assert_array_equal(points, mel_statistics(inputs)[rows])


def test_the_second_encoder_is_the_small_ast_unless_the_study_has_it() -> None:
    inputs, rows = clips(6), np.arange(6)
    small = encoders(task(), STATISTICS, 128)["second"](inputs, rows)
    other = encoders(task(source="builtin:small"), STATISTICS, 128)
    np.testing.assert_allclose(other[""](inputs, rows), small, atol=1e-5)
    assert np.abs(other["second"](inputs, rows) - small).max() > 0.1


def test_random_weights_are_the_same_whatever_is_drawn_before() -> None:
    torch.manual_seed(1)
    one = encoders(task(source="builtin:small"), STATISTICS, 128)["second"]
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    other = encoders(task(source="builtin:small"), STATISTICS, 128)["second"]
    inputs, rows = clips(3), np.arange(3)
    np.testing.assert_array_equal(one(inputs, rows), other(inputs, rows))
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())  # a run's own draws go on as before


@pytest.mark.parametrize("statistics", [None, STATISTICS])
def test_another_front_end_and_shape_is_heard_too(statistics: Statistics | None) -> None:
    """12 bins: less than a patch of the small AST."""
    one = task(16, "decibels", source="new", shape=SHAPE)
    inputs, rows = clips(4, 16, 12), np.arange(4)
    for name, embed in encoders(one, statistics, 12).items():
        points = embed(inputs, rows)
        assert np.isfinite(points).all() and points.std(axis=0).max() > 0, name


def test_different_sounds_are_different_points() -> None:
    inputs = np.concatenate([clips(5), clips(5)])
    inputs[5:, :, :40] += 3
    for embed in encoders(task(), STATISTICS, 128).values():
        points = embed(inputs, np.arange(10))
        apart = np.linalg.norm(points[:5].mean(axis=0) - points[5:].mean(axis=0))
        assert apart > np.linalg.norm(points[:5].std(axis=0))

"""The losses and metrics of a regression: recorded numbers, scales, weights, windows of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from petl.config import Scale
from petl.train.regression import Regression, mean_by

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "regression.json").read_text())
TARGETS = ("valence", "arousal")


@pytest.fixture
def rated() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(GOLDEN["prediction"]), torch.tensor(GOLDEN["target"])


@pytest.mark.parametrize("metric", ["ccc", "mae", "rmse", "pearson", "r2"])
def test_metrics_equal_the_recorded_ones(metric: str) -> None:
    outputs, targets = (
        torch.tensor(GOLDEN[name], dtype=torch.float64) for name in ("prediction", "target")
    )
    measured = Regression(TARGETS).measure(outputs, targets)
    found = [measured[f"{metric}_{target}"] for target in TARGETS]
    assert found == pytest.approx(GOLDEN[metric], rel=1e-6)


def test_ccc_does_not_mix_sample_and_population_moments() -> None:
    """A covariance divided by n and variances divided by n - 1 make agreement look smaller."""
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.1, 1.9, 3.3, 4.2])
    population, sample = np.cov(x, y, bias=True), np.cov(x, y)
    far = (x.mean() - y.mean()) ** 2
    lin = 2 * population[0, 1] / (population[0, 0] + population[1, 1] + far)
    mixed = 2 * population[0, 1] / (sample[0, 0] + sample[1, 1] + far)
    columns = (torch.from_numpy(values)[:, None] for values in (x, y))
    measured = Regression(("x",)).measure(*columns)["ccc_x"]
    assert measured == pytest.approx(lin, abs=1e-12)
    assert lin - mixed > 0.2
    # the same clips twice are the same agreement: a sample's moment would change with n
    twice = (torch.from_numpy(np.tile(values, 2))[:, None] for values in (x, y))
    assert Regression(("x",)).measure(*twice)["ccc_x"] == pytest.approx(measured, abs=1e-12)


def test_errors_are_reported_in_the_unit_of_the_targets_too(rated) -> None:
    outputs, targets = rated
    scale = Scale(centre=5.0, spread=4.0)
    measured = Regression(TARGETS, scale=scale).measure(outputs, targets)
    plain = Regression(TARGETS).measure(scale.undone(outputs), scale.undone(targets))
    for name in ("rmse", "mae_arousal", "rmse_valence"):
        assert measured[f"unscaled_{name}"] == pytest.approx(plain[name], rel=1e-6)
    for name in ("ccc", "pearson_valence", "r2"):
        assert measured[name] == pytest.approx(plain[name], rel=1e-5)
    assert "unscaled_rmse" not in plain and "unscaled_ccc" not in measured


def test_a_mix_of_losses_is_their_weighted_sum(rated) -> None:
    outputs, targets = rated
    mse, mae, ccc = (Regression(TARGETS, of).loss(outputs, targets) for of in ("mse", "mae", "ccc"))
    mixed = Regression(TARGETS, "0.5 ccc + 0.5 mse").loss(outputs, targets)
    torch.testing.assert_close(mixed, 0.5 * ccc + 0.5 * mse)
    three = Regression(TARGETS, "0.2 mae + 1 ccc + 3 mse").loss(outputs, targets)
    torch.testing.assert_close(three, 0.2 * mae + ccc + 3 * mse)
    half = Regression(TARGETS, "0.5 ccc + 0.5 mse").loss(outputs.bfloat16(), targets)
    assert half.dtype == torch.float32
    assert torch.equal(
        half, Regression(TARGETS, "0.5 ccc + 0.5 mse").loss(outputs.bfloat16().float(), targets)
    )


@pytest.mark.parametrize("loss", ["mse", "mae", "ccc"])
def test_weights_are_of_the_targets(rated, loss: str) -> None:
    outputs, targets = rated
    each = [
        Regression(("x",), loss).loss(outputs[:, [i]], targets[:, [i]]) for i in range(len(TARGETS))
    ]
    weighted = Regression(TARGETS, loss, weights=(0.6, 0.4)).loss(outputs, targets)
    torch.testing.assert_close(weighted, 0.6 * each[0] + 0.4 * each[1])
    again = Regression(TARGETS, loss, weights=(6.0, 4.0)).loss(outputs, targets)
    torch.testing.assert_close(again, weighted)


def test_a_plain_loss_has_the_bits_that_it_always_had(rated) -> None:
    outputs, targets = rated
    assert torch.equal(Regression(TARGETS).loss(outputs, targets), F.mse_loss(outputs, targets))


def test_a_song_is_measured_by_the_mean_of_its_windows(rated) -> None:
    """In any order of the windows, and beside the metrics of the windows."""
    outputs, targets = rated
    songs = np.arange(50) // 5
    targets = mean_by(songs, targets)[songs]  # the windows of a song have one target
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    measured = Regression(TARGETS).measure(outputs[order], targets[order], songs[order])
    means = outputs.reshape(10, 5, 2).mean(dim=1), targets[::5]
    whole, windows = (
        Regression(TARGETS).measure(*means),
        Regression(TARGETS).measure(*rated[:1], targets),
    )
    assert {name: measured[name] for name in whole} == pytest.approx(whole, rel=1e-6)
    assert {name: measured[f"window_{name}"] for name in windows} == pytest.approx(windows)
    assert measured["rmse"] < measured["window_rmse"]
    assert len(measured) == len(whole) + len(windows)


def test_r2_of_constant_targets_is_zero_and_hides_no_other_target(rated) -> None:
    outputs, targets = rated
    targets = targets.clone()
    targets[:, 0] = 0.3
    measured = Regression(TARGETS).measure(outputs, targets)
    assert measured["r2_valence"] == 0
    assert measured["r2"] == pytest.approx(GOLDEN["r2"][1] / 2, rel=1e-5)

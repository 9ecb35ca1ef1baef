"""What predicts numbers without a network."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.linear_model

from petl.data.load import TaskData
from petl.data.ridge import PENALTIES, Ridge, mel_statistics
from petl.data.splits import Split
from petl.train.floors import floors
from petl.train.regression import Regression

CLIPS, TRAIN, VALIDATION = 90, np.arange(50), np.arange(50, 70)
TEST = np.arange(70, CLIPS)
LEARNS = Regression(("x", "y"))


def made(songs: np.ndarray | None = None) -> TaskData:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(CLIPS, 40, 8)).astype(np.float32) * draw.random((CLIPS, 1, 1))
    statistics = np.concatenate([inputs.mean(axis=1), inputs.std(axis=1)], axis=1)
    noise = 0.3 * draw.normal(size=(CLIPS, 2))
    targets = statistics @ draw.normal(size=(16, 2)) + 2 + noise
    return TaskData(
        inputs, targets.astype(np.float32), Split(TRAIN, VALIDATION, TEST), (), None, songs
    )


def test_the_constant_is_the_mean_of_the_training_clips() -> None:
    data = made()
    mean = data.targets[TRAIN].astype(np.float64).mean(axis=0)
    errors = np.abs(data.targets[TEST] - mean).mean(axis=0)
    found = floors(data, LEARNS)["constant"]
    assert [found["mae_x"], found["mae_y"]] == pytest.approx(errors.tolist(), rel=1e-6)
    assert found["ccc"] == 0


def test_the_ridge_is_that_of_scikit_learn_with_the_best_penalty() -> None:
    data = made()
    x = mel_statistics(data.inputs)
    np.testing.assert_allclose(x[:, 8:], data.inputs.std(axis=1), rtol=1e-5)
    x = (x - x[TRAIN].mean(axis=0)) / x[TRAIN].std(axis=0)

    def errors(penalty: float) -> tuple[float, float]:
        ridge = sklearn.linear_model.Ridge(alpha=penalty * len(TRAIN))
        ridge.fit(x[TRAIN], data.targets[TRAIN])
        squares = (
            np.square(ridge.predict(x[part]) - data.targets[part]) for part in (VALIDATION, TEST)
        )
        return tuple(np.sqrt(of.mean(axis=0)).mean() for of in squares)

    best = min(map(errors, PENALTIES))
    found = floors(data, LEARNS)
    assert found["ridge"]["rmse"] == pytest.approx(best[1], rel=1e-6)
    assert found["ridge"]["rmse"] < found["constant"]["rmse"]


def test_songs_are_measured_by_the_mean_of_their_windows() -> None:
    found = floors(made(np.arange(CLIPS) // 5), LEARNS)
    assert {"window_rmse", "rmse"} <= found["ridge"].keys()
    assert found["ridge"]["rmse"] != found["ridge"]["window_rmse"]


def test_a_bin_that_never_changes_does_not_divide_by_zero() -> None:
    data = made()
    data.inputs[:, :, 0] = 0
    assert np.isfinite(list(floors(data, LEARNS)["ridge"].values())).all()


def test_waveforms_have_mel_statistics_too() -> None:
    waveforms = np.random.default_rng(0).normal(size=(3, 8000)).astype(np.float32)
    found = mel_statistics(waveforms)
    assert found.shape == (3, 256) and np.isfinite(found).all()


def test_the_penalty_is_chosen_by_leaving_out_each_training_clip() -> None:
    data = made()
    x, y = mel_statistics(data.inputs)[TRAIN], data.targets[TRAIN].astype(np.float64)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    penalties = [penalty * len(TRAIN) for penalty in PENALTIES]
    known = sklearn.linear_model.RidgeCV(alphas=penalties).fit(scaled, y)
    ridge = Ridge(x, y)
    assert ridge.best() * len(TRAIN) == pytest.approx(known.alpha_)
    np.testing.assert_allclose(ridge.predict(x, ridge.best()), known.predict(scaled), rtol=1e-8)

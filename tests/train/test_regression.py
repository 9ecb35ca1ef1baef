"""A table with numbers to predict, from sound files to the measures of the best epoch."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import soundfile
import torch

from petl import config
from petl.config.options import Options
from petl.places import Places
from petl.runs import predictions
from petl.runs.directory import RunDir
from petl.runs.result import Result
from petl.train.regression import Regression
from petl.train.run import run_task

RATE, CLIPS = 16_000, 60


@pytest.fixture(scope="module")
def rated_sounds(tmp_path_factory) -> Places:
    """Tones in noise; how high and how loud they are is to be told."""
    root = tmp_path_factory.mktemp("rated")
    folder = root / "data" / "tones"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    rows = []
    for clip in range(CLIPS):
        pitch, level = draw.random(2)
        tone = 10 ** (2 * level - 2.5) * np.sin(2 * np.pi * 200 * 20**pitch * time)
        soundfile.write(
            folder / f"{clip}.wav", tone + 1e-3 * draw.standard_normal(RATE), RATE, subtype="FLOAT"
        )
        part = ("test", "validation", "train", "train", "train")[clip % 5]
        rows.append((f"{clip}.wav", f"{pitch:.4f}", f"{level:.4f}", part))
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "pitch", "level", "part"), *rows])
    return Places(root / "runs", root / "data", root / "cache")


@pytest.mark.parametrize("loss", ["mse", "ccc"])
def test_regression_learns_and_keeps_the_best_ccc(tasks, rated_sounds, loss: str) -> None:
    said = tasks[0].to_json()
    said["dataset"] |= {
        "corpus": "tones",
        "layout": "table",
        "classes": None,
        "targets": ["pitch", "level"],
        "table": {"file": "clips.csv", "path": "file", "part": "part"},
        "split": "given",
        "folds": 1,
        "spec_augment": None,
    }
    said["backbone"] |= {"source": "builtin:small"}
    said["train"] |= {"epochs": 10, "loss": loss, "lr": 2e-3}
    task = config.Task.model_validate(said)
    result = run_task(task, rated_sounds, Options(threads=1))
    rows = RunDir.of(task, rated_sounds.runs).metrics()
    scores = [row["val_ccc"] for row in rows]
    assert result["best_epoch"] == scores.index(max(scores)) + 1
    best = result["metrics"]["test_best"]
    metrics = ("mae", "rmse", "ccc", "pearson", "r2")
    each = (f"{metric}{of}" for metric in metrics for of in ("", "_pitch", "_level"))
    assert set(best) == {"loss", *each}
    assert best["ccc"] == pytest.approx((best["ccc_pitch"] + best["ccc_level"]) / 2)
    assert best["ccc_level"] > 0.5
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    _floors_are_below(result)
    _predictions_are_those_measured(RunDir.of(task, rated_sounds.runs), result)


def _floors_are_below(result: Result) -> None:
    """The pitch can be read off the mel bins, and a constant says nothing."""
    constant, ridge = result["floors"]["constant"], result["floors"]["ridge"]
    assert set(constant) == set(ridge) == set(result["metrics"]["test_best"])
    assert constant["ccc"] == constant["pearson"] == 0
    assert constant["r2"] <= 0 < ridge["ccc_pitch"]
    assert ridge["rmse_pitch"] < constant["rmse_pitch"]


def _predictions_are_those_measured(run: RunDir, result: Result) -> None:
    found, wrong = predictions.read(run)
    assert found is not None and not wrong
    assert found["outputs"] == ["pitch", "level"]
    assert found["clips"][:2] == ["0.wav", "5.wav"]
    for split in ("test_last", "test_best"):
        pair = (torch.tensor(found[name]) for name in (split, "targets"))
        assert Regression(("pitch", "level"), result["task"]["train"]["loss"]).measure(*pair) == (
            pytest.approx(result["metrics"][split], abs=1e-12)
        )

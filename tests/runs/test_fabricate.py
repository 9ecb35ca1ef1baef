"""Made-up runs look like real ones, say everywhere that they are not, and keep away from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import finished, stopped
from typer.testing import CliRunner

from analysis import history, load, synthetic
from petl.cli import app
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.runs import predictions
from petl.runs.directory import RunDir
from petl.runs.synthetic import LABEL, fabricate, read_accuracies

STUDY = """
description: made up
profile: as-run
report: test_last
matrix:
  dataset: [esc50, urbansound8k]
  backbone: ast
  method: [linear, lora]
  fold: all
  seed: 1
set: {train: {epochs: 6}}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "made.yaml").write_text(STUDY)
    return load_study(tmp_path / "made.yaml")


def test_every_run_and_its_folder_say_that_they_are_made_up(study: Study, tmp_path: Path) -> None:
    assert fabricate(study, tmp_path) == len(study.tasks) == 30
    assert "made up" in (tmp_path / "made" / LABEL).read_text()
    for task in study.tasks:
        run = RunDir.of(task, tmp_path)
        assert json.loads(run.result_file.read_text())["synthetic"] is True
        assert run.log_file.read_text().startswith("SYNTHETIC")
    frame = load(study, tmp_path)
    assert frame["synthetic"].all() and synthetic(frame)


def test_what_reads_real_runs_reads_these(study: Study, tmp_path: Path) -> None:
    fabricate(study, tmp_path)
    frame = load(study, tmp_path)
    assert set(frame["state"]) == {"done"}
    assert (frame["gpu_hours"] > 0).all()
    epochs = history(study, tmp_path)
    assert len(epochs) == 30 * 6
    best = epochs.loc[epochs.groupby("run_id")["val_accuracy"].idxmax()].set_index("run_id")
    ours = frame.set_index("run_id")
    assert (best["epoch"] == ours["best_epoch"][best.index]).all()
    assert (best["val_accuracy"] == ours["val_best.accuracy"][best.index]).all()


def test_the_chosen_accuracies_come_out_and_so_do_confusion_matrices(
    study: Study, tmp_path: Path
) -> None:
    chosen = tmp_path / "accuracies.yaml"
    chosen.write_text("esc50: {lora: 0.8, '*': 0.6}\n'*': 0.7\n")
    fabricate(study, tmp_path, read_accuracies(chosen, study.tasks), spread=0.01)
    means = load(study, tmp_path).groupby(["dataset", "method"])["test_last.accuracy"].mean()
    expected = {("esc50", "lora"): 0.8, ("esc50", "linear"): 0.6}
    expected |= {("urbansound8k", method): 0.7 for method in ("lora", "linear")}
    assert means.to_dict() == pytest.approx(expected, abs=0.02)
    for task in study.tasks:
        result = RunDir.of(task, tmp_path).result() or {}
        for name, matrix in result["confusion"].items():
            right = sum(row[i] for i, row in enumerate(matrix))
            accuracy = right / sum(map(sum, matrix))
            assert result["metrics"][name]["accuracy"] == accuracy


def test_the_same_seed_makes_the_same_runs_and_another_seed_others(
    study: Study, tmp_path: Path
) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        fabricate(study, tmp_path / folder, seed=seed)
    a, b, c = (RunDir.of(study.tasks[3], tmp_path / folder) for folder in "abc")
    assert a.result_file.read_bytes() == b.result_file.read_bytes() != c.result_file.read_bytes()


def test_a_share_leaves_the_others_waiting_and_a_larger_one_adds_to_it(
    study: Study, tmp_path: Path
) -> None:
    few = fabricate(study, tmp_path, share=0.4)
    assert 0 < few < 30
    frame = load(study, tmp_path)
    assert (frame["state"] == "done").sum() == few
    assert (frame["state"] == "waiting").sum() == 30 - few
    assert fabricate(study, tmp_path) == 30 - few


@pytest.mark.parametrize("make", [finished, lambda task, runs: stopped(task, runs, 2)])
def test_nothing_is_made_up_beside_a_real_run(study: Study, tmp_path: Path, make) -> None:
    real = make(study.tasks[0], tmp_path)
    before = sorted(path.name for path in real.path.iterdir())
    with pytest.raises(UserError, match="was not made by petl fabricate"):
        fabricate(study, tmp_path)
    assert [path.name for path in (tmp_path / "made").iterdir()] == [real.path.name]
    assert sorted(path.name for path in real.path.iterdir()) == before


def test_a_regression_can_be_made_up_too(tmp_path: Path) -> None:
    (tmp_path / "rated.yaml").write_text(
        STUDY.replace("[esc50, urbansound8k]", "rated").replace(
            "epochs: 6", "epochs: 6, batch_size: 8"
        )
        + """
datasets:
  rated:
    dataset:
      {corpus: rated, layout: table, targets: [valence, arousal], frames: 500, split: ratio,
       folds: 2, table: {file: t.csv, path: p}, ratio: {validation: 0.1, test: 0.1},
       statistics: training-split, spec_augment: null}
"""
    )
    study = load_study(tmp_path / "rated.yaml")
    fabricate(study, tmp_path)
    frame = load(study, tmp_path)
    assert frame["test_last.ccc_valence"].notna().all()
    assert (frame["floors.constant.ccc"] == 0).all()
    assert "test_last.accuracy" not in frame
    found, wrong = predictions.read(RunDir.of(study.tasks[0], tmp_path))
    assert found["outputs"] == ["valence", "arousal"] and not wrong


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("esc50: 0.5\nurban: 0.6\n", "no accuracy for 'urbansound8k'"),
        ("'*': 70\n", "an accuracy is between 0 and 1, not 70"),
        ("'*': {lora: 0.5, linaer: 0.4}\n", "no accuracy for 'linear'; did you mean 'linaer'?"),
    ],
)
def test_a_mistake_in_the_accuracies_is_one_line(
    study: Study, tmp_path: Path, text: str, said: str
) -> None:
    chosen = tmp_path / "accuracies.yaml"
    chosen.write_text(text)
    command = ["fabricate", str(study.path), "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, [*command, "--accuracy", str(chosen)])
    assert result.exit_code == 2
    assert said in result.stderr and str(chosen) in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_pre_training_can_be_made_up_too(tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text(
        STUDY.replace("[esc50, urbansound8k]", "esc10")
        .replace("[linear, lora]", "masked")
        .replace("fold: all", "fold: [0, 1]")
        .replace("report: test_last\n", "")
        + "methods:\n  masked:\n    method: {family: full}\n"
        + "    objective: {kind: masked-patches}\n    train: {lr: 1e-3}\n"
    )
    study = load_study(tmp_path / "made.yaml")
    assert fabricate(study, tmp_path / "runs", lambda task: 0.8) == 2
    frame = load(study, tmp_path / "runs")
    assert frame["test_best.held_out_loss"].between(0.1, 0.4).all()

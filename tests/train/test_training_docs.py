"""The examples of docs/training.md work, and contradicting options are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from petl import config
from petl.config.options import Options
from petl.config.study import EXPERIMENTS, load_study
from petl.errors import UserError
from petl.runs.directory import RunDir
from petl.train.run import run_task

TEXT = (EXPERIMENTS.parent / "docs" / "training.md").read_text()
SNIPPETS = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
LINES = [snippet for snippet in SNIPPETS if snippet.count("\n") == 1]
STUDY = """\
description: one line of the documentation
profile: as-run
report: test_last
matrix: {dataset: [esc50, emotions], backbone: ast, method: [lora, linear], fold: 0, seed: 10}
datasets:
  emotions:
    dataset: {corpus: emotions, layout: table, targets: [valence, arousal], folds: 1, frames: 300,
      table: {file: clips.csv, path: file, part: part}, split: given, spec_augment: null}
    train: {epochs: 50, batch_size: 32}
"""


def shown(folder: Path, line: str, only: str = "") -> list[config.Task]:
    file = folder / "study.yaml"
    file.write_text(STUDY.replace("[esc50, emotions]", only or "[esc50, emotions]") + line)
    return load_study(file).tasks


def fields(line: str) -> set[str]:
    said = yaml.safe_load(line)
    (options,) = (said if "set" in said else said["when"][0])["set"].values()
    return set(options)


def test_every_option_has_a_paragraph_and_an_example() -> None:
    options = {*config.Train.model_fields, *config.HeadSettings.model_fields}
    named = set(re.findall(r"\*\*(\w+)\*\*", TEXT))
    assert options - named == set()
    assert options - set().union(*map(fields, LINES)) == set()


@pytest.mark.parametrize("line", LINES, ids=lambda line: "-".join(sorted(fields(line))))
def test_every_example_changes_a_run(tmp_path: Path, line: str) -> None:
    only = "esc50" if "label_smoothing" in line or "sampling" in line else ""
    if "emotions" in line:
        only = "emotions"
    ids = {task.run_id for task in shown(tmp_path, line, only)}
    assert ids - {task.run_id for task in shown(tmp_path, "", only)}


def test_the_sweep_is_a_study_of_different_runs(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SNIPPETS[-1])
    found = load_study(file).tasks
    assert len({task.run_id for task in found}) == len(found) == 4 * 5 * 3
    assert {task.train.label_smoothing for task in found} == {0, 0.05, 0.1, 0.2}


@pytest.mark.parametrize(
    ("train", "dataset", "says"),
    [
        (
            "warm_up: 50.0",
            "esc50",
            r"study.yaml:10: train.warm_up .50. must be below",
        ),
        ("loss: ccc", "esc50", "'ccc' is for a regression"),
        ("label_smoothing: 0.1", "emotions", "a regression has none"),
        ("loss: ccc, micro_batch: 8", "emotions", "needs the whole batch"),
        ("loss: 0.5 ccc + 0.5 mse, micro_batch: 8", "emotions", "needs the whole batch"),
        ("loss: 0.5 ccc + mse", "emotions", "'mse' is not a weight and a loss; write a mix as"),
        ("loss: 0.5 ccc + 0.5 mze", "emotions", "no loss 'mze'; did you mean 'mse'"),
        ("loss: 1 mse + 2 mse", "emotions", "'mse' stands twice"),
        ("loss: huber", "emotions", "study.yaml:10: train.loss cannot be 'huber'"),
        ("target_weights: {valence: 0.6}", "emotions", "the targets are valence, arousal"),
        ("target_weights: {arousal: 1.0}", "esc50", "for the targets of a regression"),
        ("later_batches: [{epoch: 51, batch_size: 8}]", "esc50", "no epoch 51 in 50"),
    ],
)
def test_contradicting_options_are_refused(tmp_path: Path, train: str, dataset: str, says) -> None:
    with pytest.raises(UserError, match=says):
        shown(tmp_path, f"set: {{train: {{{train}}}}}\n", dataset)


def test_a_mix_of_losses_is_one_run_however_it_is_written(tmp_path: Path) -> None:
    """And a mix of one loss is that loss."""
    ways = ("0.5 ccc + 0.5 mse", "0.50 mse + 5e-1*ccc", "0.5 mse  +  0.5 ccc")
    lines = [f"set: {{train: {{loss: {way}}}}}\n" for way in (*ways, "mse", "1 mse")]
    ids = [[task.run_id for task in shown(tmp_path, line, "emotions")] for line in lines]
    assert ids[0] == ids[1] == ids[2] != ids[3] == ids[4]


def test_micro_batch_with_a_conformer_suggests_layer_checkpointing(tmp_path: Path) -> None:
    line = "methods: {lora: {like: conformer-pfeiffer, train: {micro_batch: 8}}}\n"
    with pytest.raises(UserError, match="'layer_checkpointing: on' saves more memory"):
        shown(tmp_path, line)


TOGETHER = {
    "epochs": 6,
    "head_lr": 2e-2,
    "warm_up": 0.5,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "mixup": {"share": 0.5, "alpha": 0.3},
    "head_first": 0.3,
    "later_batches": [{"epoch": 3, "batch_size": 12}],
    "patience": 3,
    "min_improvement": 0.01,
    "layer_checkpointing": "on",
    "precision": "bf16",
}


def test_all_options_train_together(tasks, own_runs) -> None:
    settings = next(task for task in tasks if task.names.method == "bottleneck").to_json()
    task = config.Task.model_validate(settings | {"train": settings["train"] | TOGETHER})
    result = run_task(task, own_runs, Options(threads=1))
    rows = RunDir.of(task, own_runs.runs).metrics()
    losses = [row["train_loss"] for row in rows]
    assert 3 < len(rows) <= 6
    assert losses[-1] < losses[0]
    measures = {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "loss"}
    assert set(result["metrics"]["test_best"]) == measures
    assert result["epochs"] == len(rows)


def test_patience_counts_epochs_that_are_hardly_better(tasks, own_runs) -> None:
    settings = next(task for task in tasks if task.names.method == "linear").to_json()
    more = {"epochs": 5, "best_by": "loss", "patience": 2, "min_improvement": 10.0}
    task = config.Task.model_validate(settings | {"train": settings["train"] | more})
    result = run_task(task, own_runs, Options(threads=1))
    losses = [row["val_loss"] for row in RunDir.of(task, own_runs.runs).metrics()]
    assert min(losses) < losses[0]
    assert (result["best_epoch"], result["epochs"]) == (1, 3)

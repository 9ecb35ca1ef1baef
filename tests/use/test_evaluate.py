"""A run evaluated again gives the numbers of training."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import roc_auc_score, top_k_accuracy_score
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.data.load import load
from petl.errors import UserError
from petl.runs.confusion import per_class
from petl.use.evaluate import Way, evaluate
from petl.use.load import load_run
from petl.use.predict.predict import How
from petl.use.show import metrics


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("method", ["lora", "conformer"])
@pytest.mark.parametrize("weights", ["last", "best"])
def test_the_numbers_are_those_of_training_to_the_bit(trained, places, method, weights) -> None:
    run = trained(method, weights=weights)
    loaded = load_run(run.path, places)
    recorded = run.result()
    found = evaluate(loaded, places, "test")
    assert found.metrics == recorded["metrics"][f"test_{weights}"]
    assert found.confusion == recorded["confusion"][f"test_{weights}"]
    assert (loaded.weights, found.clips) == (weights, recorded["clips"]["test"])
    if weights == "best":
        assert loaded.epoch == recorded["best_epoch"]
        validation = evaluate(loaded, places, "validation")
        assert validation.metrics == recorded["metrics"]["val_best"]


def test_half_precision_is_measured_in_half_precision(trained, places) -> None:
    run = trained("linear", train={"precision": "bf16"})
    found = evaluate(load_run(run.path, places), places, "test")
    assert found.metrics == run.result()["metrics"]["test_last"]
    assert found.metrics != trained("linear").result()["metrics"]["test_last"]


def test_the_tables_compare_with_training(trained, places) -> None:
    run = trained("lora")
    told = petl("evaluate", run.path, *at(places), "--per-class")
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert run.result()["run_id"] in lines[0]
    assert lines[1] == "last weights (epoch 2) on test: 10 clips"
    measured = [line for line in lines if "the same" in line]
    assert len(measured) == len(run.result()["metrics"]["test_last"])
    for name in run.result()["classes"]:
        assert any(name in line for line in lines)


def test_with_cached_frozen_parts_rounding_is_no_difference(trained, places) -> None:
    found = evaluate(load_run(trained("lora").path, places), places, "test")
    found = replace(found, recorded={**found.metrics, "loss": found.metrics["loss"] + 1e-7})
    task = found.run.task
    cached = task.model_copy(update={"train": task.train.model_copy(update={"frozen": "cached"})})
    for now, told in ((task, 0), (cached, 1)):
        cells = metrics(replace(found, run=replace(found.run, task=now))).columns[2].cells
        assert [*cells].count("the same to 1e-6") == told


def test_json_has_all_numbers(trained, places) -> None:
    run = trained("lora")
    asked = ("--json", "--per-class", "--split", "train")
    told = petl("evaluate", f"tiny/{run.path.name[:6]}", *at(places), *asked)
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    assert (said["split"], said["clips"], said["recorded"]) == ("train", 30, None)
    assert [row["class"] for row in said["classes"]] == run.result()["classes"]
    assert said["classes"][3]["recall"] == per_class(said["confusion"])[3]["recall"]


def test_auc_and_top_k_are_those_of_scikit_learn(trained, places) -> None:
    run = load_run(trained("lora").path, places)
    data = load(run.task, places)
    clips = data.split.train
    found = evaluate(run, places, "train", Way(top=3))
    size = run.task.train.batch_size
    batches = [clips[start : start + size] for start in range(0, len(clips), size)]
    outputs = torch.cat([run.outputs(data.inputs[batch]) for batch in batches])
    probabilities = outputs.double().softmax(dim=1).numpy()
    classes = np.eye(10)[data.targets[clips]]
    expected = roc_auc_score(classes, probabilities, average=None)
    assert found.auc == pytest.approx(expected, abs=1e-12)
    assert found.mean_auc == pytest.approx(np.mean(expected))
    expected = top_k_accuracy_score(data.targets[clips], probabilities, k=3)
    assert found.top == (3, pytest.approx(expected))
    assert found.metrics == evaluate(run, places, "train").metrics


def test_clips_no_longer_than_a_window_give_the_same_numbers_heard_whole(trained, places) -> None:
    run = load_run(trained("lora").path, places)
    assert max(soundfile.info(file).duration for file in places.data.rglob("*.wav")) <= 1.009
    usual = evaluate(run, places, "test")
    whole = evaluate(run, places, "test", Way(How()))
    assert whole.metrics == pytest.approx(usual.metrics, abs=1e-5)
    assert whole.confusion == usual.confusion


def test_a_group_of_clips_has_one_answer(trained, places) -> None:
    """The quickstart's files end in -CLASS.wav: all clips of a class become one group."""
    run = load_run(trained("lora").path, places)
    found = evaluate(run, places, "train", Way(group=r"-(\d+)\.wav"))
    assert (found.groups, found.clips, found.recorded) == (10, 30, None)
    data = load(run.task, places)
    outputs = run.outputs(data.inputs[data.split.train]).double().softmax(dim=1).numpy()
    labels = data.targets[data.split.train]
    means = np.stack([outputs[labels == label].mean(axis=0) for label in range(10)])
    assert found.metrics["accuracy"] == np.mean(means.argmax(axis=1) == np.arange(10))
    with pytest.raises(UserError, match="have different labels"):
        evaluate(run, places, "train", Way(group=r"/(\d)-"))


def at(places) -> list[object]:
    return ["--runs", places.runs, "--data", places.data, "--cache", places.cache]

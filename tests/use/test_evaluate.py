"""A run evaluated again gives the numbers of training."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.runs.confusion import per_class
from petl.use.evaluate import evaluate
from petl.use.load import load_run


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


def test_json_has_all_numbers(trained, places) -> None:
    run = trained("lora")
    asked = ("--json", "--per-class", "--split", "train")
    told = petl("evaluate", f"tiny/{run.path.name[:6]}", *at(places), *asked)
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    assert (said["split"], said["clips"], said["recorded"]) == ("train", 30, None)
    assert [row["class"] for row in said["classes"]] == run.result()["classes"]
    assert said["classes"][3]["recall"] == per_class(said["confusion"])[3]["recall"]


def at(places) -> list[object]:
    return ["--runs", places.runs, "--data", places.data, "--cache", places.cache]

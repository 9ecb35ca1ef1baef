"""Runs evaluated as an ensemble, against combining their answers by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from petl.cli import app
from petl.data.corpus import Clip
from petl.errors import UserError
from petl.use.evaluate import Way, outputs_of
from petl.use.load import load_run
from petl.use.predict.ensemble import Ensemble
from petl.use.together import bootstrap, evaluate_together


@pytest.fixture(scope="module")
def runs(trained, places):
    """Two methods on two folds."""
    cells = [(method, fold) for fold in (0, 1) for method in ("lora", "linear")]
    return tuple(load_run(trained(*cell).path, places) for cell in cells)


@pytest.fixture(scope="module")
def heard_alone(runs, places):
    return [outputs_of(run, places, "test", Way()) for run in runs]


@pytest.mark.parametrize("combine", ["mean", "vote"])
def test_the_runs_of_a_fold_answer_together_and_all_folds_are_measured(
    runs, heard_alone, places, combine
):
    found = evaluate_together(Ensemble(runs), places, "test", Way(combine=combine))
    right, values, targets = [], [], []
    for heard in (heard_alone[:2], heard_alone[2:]):
        probabilities = np.stack([one.outputs.double().softmax(dim=1).numpy() for one in heard])
        if combine == "vote":  # two runs that disagree: the mean decides, as with two that agree
            votes = np.eye(10)[probabilities.argmax(axis=2)].mean(axis=0)
            answers = votes + 1e-6 * probabilities.mean(axis=0)
        else:
            answers = probabilities.mean(axis=0)
        right += (answers.argmax(axis=1) == heard[0].targets).tolist()
        values += answers.tolist()
        targets += heard[0].targets.tolist()
    assert found.clips == len(right) == 20
    assert found.metrics["accuracy"] == np.mean(right)
    assert np.trace(found.confusion) == sum(right) and np.sum(found.confusion) == 20
    if combine == "mean":
        expected = roc_auc_score(np.eye(10)[targets], values, average=None)
        assert found.auc == pytest.approx(expected)
    alone = [(one.outputs.argmax(dim=1).numpy() == one.targets).mean() for one in heard_alone]
    assert found.together.alone == pytest.approx(np.mean(alone))
    low, high = found.together.interval
    assert low <= found.metrics["accuracy"] <= high


def test_runs_without_the_same_clips_are_refused(runs, places):
    with pytest.raises(UserError, match="no other run has its test clips"):
        evaluate_together(Ensemble(runs[::2]), places, "test", Way())
    with pytest.raises(UserError, match=r"their train clips are not the same, and audio/.* both"):
        evaluate_together(Ensemble(runs), places, "train", Way())


def test_the_command_says_how_many_runs_and_how_sure(runs, places, study):
    asked = ["evaluate", study, "--ensemble", "all", "--only", "fold=0"]
    where = ["--runs", places.runs, "--data", places.data, "--cache", places.cache]
    told = CliRunner().invoke(app, [*map(str, [*asked, *where])])
    assert told.exit_code == 0, told.output
    assert " runs of tiny, mean probability" in told.stdout
    assert "10 test clips, each by all runs that have it" in told.stdout
    assert "accuracy, 95 % interval" in told.stdout and "of the runs alone" in told.stdout
    told = CliRunner().invoke(app, [*map(str, [*asked, *where, "--json", "--per-class"])])
    said = json.loads(told.stdout)
    assert {*said["runs"]} >= {run.task.run_id for run in runs[:2]}
    assert len(said["interval"]) == 2 and "recorded" not in said
    assert len(said["classes"]) == 10 and said["combine"] == "mean"


@pytest.mark.slow
def test_each_method_is_a_row_alone_and_together(trained, places):
    alone = {"names": {"study": "seeds"}}
    paths = [trained("linear", seed=seed, **alone).path for seed in (10, 11)]
    where = ["--runs", places.runs, "--data", places.data, "--cache", places.cache]
    call = [*map(str, ["evaluate", places.runs / "seeds", "--ensemble", "each", *where])]
    told = CliRunner().invoke(app, call, env={"COLUMNS": "160"})
    assert told.exit_code == 0, told.output
    (row,) = [line for line in told.stdout.splitlines() if "linear" in line]
    ensemble = Ensemble(tuple(load_run(path, places) for path in paths))
    for how in ("mean", "vote"):
        found = evaluate_together(ensemble, places, "test", Way(combine=how))
        assert f"{100 * found.metrics['accuracy']:.2f} % [" in row
    said = json.loads(CliRunner().invoke(app, [*call, "--json"]).stdout)
    assert [way["combine"] for way in said["tiny \u00b7 tiny \u00b7 linear"]] == ["mean", "vote"]


def test_an_interval_draws_whole_recordings():
    """Ten recordings, each right or wrong as a whole: as wide as ten clips, not as a hundred."""
    right = np.repeat([1, 0] * 5, 10)
    clips = [Clip(f"{i}.wav", Path(f"{i}.wav")) for i in range(100)]
    grouped = [Clip(f"{i}.wav", Path(f"{i}.wav"), group=str(i // 10)) for i in range(100)]
    narrow, wide = bootstrap(right, clips), bootstrap(right, grouped)
    assert narrow == pytest.approx((0.4, 0.6), abs=0.02)
    assert wide == pytest.approx((0.2, 0.8), abs=0.05)

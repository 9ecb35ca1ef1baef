"""`petl show` and `petl diff`: a run, and what differs between two, as text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_runs import failed, finished
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config import Task
from petl.config.study import EXPERIMENTS, load_study
from petl.files import write_json


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def tasks() -> list[Task]:
    return load_study(EXPERIMENTS / "quickstart.yaml").tasks


def test_show_tells_results_curves_and_settings(tasks: list[Task], tmp_path: Path) -> None:
    run = finished(tasks[0], tmp_path, accuracy=0.875)
    told = petl("show", run.path.name[:8], "--runs", tmp_path)
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert lines[:3] == [str(tasks[0]), f"run {run.path.name} in {run.path}", "done"]
    assert "test_last: accuracy 87.50 %, loss 1" in lines
    assert f"  train.lr: {tasks[0].train.lr}" in lines
    curve = lines[lines.index("curves") + 1 : lines.index("settings")]
    assert curve[0].startswith("  epoch 1, ") and curve[-1].startswith(
        f"  epoch {tasks[0].train.epochs}, "
    )
    said = json.loads(petl("show", run.path, "--json").stdout)
    assert said["result"] == run.result()
    assert (said["state"]["kind"], len(said["epochs"])) == ("done", tasks[0].train.epochs)


def test_show_has_a_generators_measures_beside_those_of_real_clips(tmp_path: Path) -> None:
    task = load_study(EXPERIMENTS / "generators.yaml").tasks[0]
    run = finished(task, tmp_path)
    result = run.result()
    scores = {"kernel_distance": 2.5, "coverage_mel": 0.5, "density": 0.8}
    result["metrics"] = dict.fromkeys(result["metrics"], scores)
    result["floors"] = {"real": {"kernel_distance": -0.0001, "coverage_mel": 0.975}}
    ends = {"kernel_distance": [1.0, 4.0], "coverage_mel": [0.4, 0.6]}
    result["intervals"] = {"test_last": ends, "real": {"kernel_distance": [-0.5, 0.5]}}
    write_json(run.result_file, result)
    lines = petl("show", run.path).stdout.splitlines()
    start = lines.index("synthetic clips, and real ones in their place")
    assert [re.split(r"\s{2,}", line) for line in lines[start + 1 : start + 4]] == [
        ["", "kernel distance", "2.500 [1.000, 4.000]", "0.000 [-0.500, 0.500]"],
        ["", "coverage, mel statistics", "50.0 % [40.0 %, 60.0 %]", "97.5 %"],
        ["", "density", "0.800", "none"],
    ]


def test_show_tells_why_a_run_failed(tasks: list[Task], tmp_path: Path) -> None:
    told = petl("show", failed(tasks[0], tmp_path, "no luck").path)
    assert "failed: no luck" in told.stdout.splitlines()


def test_diff_tells_only_what_differs(tasks: list[Task], tmp_path: Path) -> None:
    one, other = finished(tasks[0], tmp_path), finished(tasks[1], tmp_path, accuracy=0.75)
    told = petl("diff", one.path, other.path)
    assert told.exit_code == 3, told.output
    lines = told.stdout.splitlines()
    assert lines[:2] == ["settings", f"  fold: {tasks[0].fold}, and {tasks[1].fold}"]
    assert "  test_last.accuracy: 50.00 %, and 75.00 %" in lines
    assert not any("loss" in line for line in lines)
    same = petl("diff", one.path, one.path)
    assert (same.exit_code, same.stdout) == (0, "equal in all that is recorded\n")

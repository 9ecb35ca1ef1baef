"""`petl show` and `petl diff`: a run, and what differs between two, as text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import failed, finished
from typer.testing import CliRunner, Result

from petl.cli import app
from petl.config import Task
from petl.config.study import EXPERIMENTS, load_study


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

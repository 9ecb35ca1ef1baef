"""`--json`: what a program reads of plan, status, ls and table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import failed, finished
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import EXPERIMENTS, load_study


def petl(*arguments: object) -> list[Any]:
    """The JSON lines on stdout."""
    told = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Of the quickstart's 30 runs two are finished and one has failed."""
    tasks = load_study(EXPERIMENTS / "quickstart.yaml").tasks
    for task, accuracy in zip(tasks, (0.5, 0.75), strict=False):
        finished(task, tmp_path, accuracy=accuracy, seconds=20)
    failed(tasks[2], tmp_path, "no luck")
    return tmp_path


def test_ls_has_a_line_for_each_run(runs: Path) -> None:
    found = petl("ls", "quickstart", "--json", "--runs", runs)
    assert len(found) == 30
    first, _, bad = found[:3]
    assert (first["state"], first["metric"], first["value"]) == ("done", "test_last.accuracy", 0.5)
    assert Path(first["folder"]).name == first["run_id"]
    assert (bad["state"], bad["reason"], bad["value"]) == ("failed", "no luck", None)
    assert [
        one["run_id"] for one in petl("ls", "quickstart", "state=done", "--json", "--runs", runs)
    ] == [one["run_id"] for one in found[:2]]
    assert petl("plan", "quickstart", "--list", "--json", "--runs", runs) == found


def test_status_and_plan_have_counts_and_means(runs: Path) -> None:
    (study,) = petl("status", "--json", "--runs", runs)
    assert study["states"] == {"done": 2, "failed": 1, "waiting": 27}
    assert (study["study"], study["runs"]) == ("quickstart", 30)
    group = study["groups"][0]
    assert (group["metric"], group["mean"]) == ("test_last.accuracy", 0.625)
    assert group["states"]["done"] == 2
    assert group["seconds_left"] == 20 * (group["runs"] - 2)
    assert petl("plan", "quickstart", "--json", "--runs", runs) == [study]


def test_a_table_is_a_list_of_cells(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (cells,) = petl("table", "quickstart", "--json", "--runs", runs)
    assert (cells[0]["mean"], cells[0]["n"], cells[0]["expected"]) == (62.5, 2, 5)
    assert cells[-1]["mean"] is None
    assert not Path("tables").exists()

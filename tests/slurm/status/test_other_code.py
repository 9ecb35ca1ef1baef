"""Who edits a checkout while jobs wait, or submits the rest with it, is told so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import finished
from typer.testing import CliRunner

from petl.cli import app
from petl.config.options import Options
from petl.config.study import Study
from petl.places import Places
from petl.runs.code.archive import CodeArchive, build
from slurm.scheduler import Answer, ArrayTask, Job
from slurm.status.code import mixing
from slurm.status.plan import Plan
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Batch, Cluster, prepare

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: lora, fold: [0, 1, 2, 3, 4], seed: 1}
"""
COMMIT = "abc1234" + "0" * 33


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")


@pytest.fixture(autouse=True)
def all_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def queued(arrays: list[str]) -> Answer:
        jobs = {ArrayTask(a, i): Job(f"12_{i}", "PENDING") for a in arrays for i in range(9)}
        return Answer(jobs)

    monkeypatch.setattr("slurm.status.plan.queued", queued)


def other() -> CodeArchive:
    here = build()
    code = here.code
    return here._replace(code=type(code)(code.archive, "0" * 64, COMMIT + "-dirty"))


def submit(study: Study, places: Places, code: CodeArchive | None, runs: slice) -> None:
    profile = Profile(time="10", max_array_size=10, tasks_per_job=2)
    plan = Plan(study, places.runs)
    prepare(plan, Batch(plan.items[runs], 1.0), Cluster("here", profile, places, Options(), code))


def status(study: Study, places: Places) -> list[str]:
    told = CliRunner().invoke(app, ["status", str(study.path), "--runs", str(places.runs)])
    assert told.exit_code == 0, told.output
    return [line for line in told.stdout.splitlines() if "queued job" in line]


def test_status_says_when_queued_jobs_will_not_run_this_checkout(
    study: Study, places: Places
) -> None:
    submit(study, places, build(), slice(0, 1))
    submit(study, places, None, slice(1, 2))  # the checkout, when they start
    assert status(study, places) == []
    submit(study, places, other(), slice(2, 5))
    (line,) = status(study, places)
    assert line.startswith("2 queued jobs run the code submitted at ")  # of two runs, and of one
    assert line.endswith(" (commit abc1234, with changes), not this checkout")


def test_whoever_adds_runs_of_another_code_is_told_in_one_line(
    study: Study, places: Places
) -> None:
    code = build().code
    assert mixing(Plan(study, places.runs), code) == ""
    submit(study, places, build(), slice(0, 1))
    submit(study, places, other(), slice(1, 3))
    run = finished(study.tasks[4], places.runs)
    assert mixing(Plan(study, places.runs), code).startswith("2 runs of this study have other code")
    result = json.loads(run.result_file.read_text())
    result["environment"]["code"] = {"source": "1" * 64}
    run.result_file.write_text(json.dumps(result))
    assert mixing(Plan(study, places.runs), code).startswith("3 runs of this study have other code")

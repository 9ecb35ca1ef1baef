"""A Slurm that does not answer, or not well: programs of its names that do what a test says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fake_slurm import PROGRAMS, Slurm, made_study, told_by
from made_runs import failed, stopped

from petl.runs.claim import Claim
from slurm import scheduler
from slurm.status.plan import Plan
from slurm.submit import commands


def test_no_answer_is_waited_for_once_and_the_files_are_told(
    fake_slurm: Slurm, tmp_path: Path
) -> None:
    """With two studies in the same folder."""
    runs = tmp_path / "runs"
    first, second = made_study(tmp_path / "first.yaml"), made_study(tmp_path / "second.yaml")
    for one in (first, second):
        told_by("submit", one.path, "--runs", runs, "--cluster=example", "--yes")
    stopped(first.tasks[0], runs, 3)
    with Claim(stopped(first.tasks[1], runs, 5).claim_file):
        fake_slurm.does_not_answer()
        began = time.monotonic()
        told = told_by("status", "--runs", runs)
        assert time.monotonic() - began < 3 * scheduler.ASK_S  # one limit, and this Python
    assert "warning: squeue did not answer within 1 s; this is what the files say" in told
    assert "0 of 4 done, 1 running, 3 unknown" in told
    assert "job 12_0, 3 epochs done; squeue did not answer" in told


def test_without_an_answer_cancel_says_that_the_queue_is_not_known(
    fake_slurm: Slurm, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    one = made_study(tmp_path / "first.yaml")
    told_by("submit", one.path, "--runs", runs, "--cluster=example", "--yes")
    fake_slurm.does_not_answer()
    told = told_by("cancel", one.path, "--runs", runs, "--yes", code=2)
    assert "nothing is cancelled, because it is not known what is queued: squeue did not" in told
    assert not any(line.startswith("scancel") for line in fake_slurm.asked)
    fake_slurm.program("squeue", PROGRAMS["squeue"])
    fake_slurm.program("scancel", PROGRAMS["scancel"])
    assert "cancelled; checkpoints are kept" in told_by("cancel", one.path, "--runs", runs, "--yes")
    assert "scancel 12" in fake_slurm.asked


def test_a_command_that_keeps_looking_asks_again(fake_slurm: Slurm, tmp_path: Path) -> None:
    one = made_study(tmp_path / "first.yaml")
    told_by("submit", one.path, "--runs", tmp_path / "runs", "--cluster=example", "--yes")
    fake_slurm.does_not_answer()
    assert Plan(one, tmp_path / "runs").trouble
    fake_slurm.program("squeue", PROGRAMS["squeue"])
    assert "has not answered" in Plan(one, tmp_path / "runs").trouble
    scheduler.start_asking()
    assert not Plan(one, tmp_path / "runs").trouble


def test_retry_sends_what_a_node_could_not_start_elsewhere(
    fake_slurm: Slurm, tmp_path: Path
) -> None:
    """And it does nothing before it knows that it may use the profile."""
    one, runs = made_study(tmp_path / "first.yaml"), tmp_path / "runs"
    told_by("submit", one.path, "--runs", runs, "--cluster=example", "--yes")
    held = fake_slurm.queue.read_text().replace("Priority", "launch failed requeued held")
    fake_slurm.queue.write_text(held)
    fake_slurm.accounts.write_text("REQUEUED|node1\nPENDING|None assigned\n")
    fake_slurm.program("scontrol", "echo ReqNodeList=x ExcNodeList=node9 NodeList=")
    assert "a node could not start it" in told_by("ls", one.path, "--runs", runs)
    again = ("retry", one.path, "--runs", runs, "--yes", "--set", "mem_gb=64")
    told_by(*again, "--cluster=./gone.yaml", code=2)
    assert not any("release" in line for line in fake_slurm.asked)
    told = told_by(*again, "--cluster=example")
    assert "released 4 held runs, away from node1" in told
    assert "scontrol update JobId=12 ExcNodeList=node1,node9" in fake_slurm.asked
    assert "scontrol release 12" in fake_slurm.asked


def test_without_sbatch_submit_says_so_and_the_runs_still_wait(
    fake_slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, one = tmp_path / "runs", made_study(tmp_path / "first.yaml")
    words = ("submit", one.path, "--runs", runs, "--cluster=example", "--yes")
    (fake_slurm.folder / "sbatch").unlink()
    monkeypatch.setenv("PATH", str(fake_slurm.folder))
    told = told_by(*words, code=2)
    assert "petl: there is no sbatch on this machine: submit from a login node" in told
    assert "4 waiting" in told_by("plan", one.path, "--runs", runs)


def test_retry_runs_again_here_what_has_failed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, one = tmp_path / "runs", made_study(tmp_path / "first.yaml")
    failed(one.tasks[0], runs, "no luck")
    again: list[str] = []

    def run_here(plan: Plan, todo: list, *rest: object) -> None:
        again.extend(item.task.run_id for item in todo)

    monkeypatch.setattr(commands, "run_here", run_here)
    told_by("retry", one.path, "--runs", runs)
    assert again == [one.tasks[0].run_id]

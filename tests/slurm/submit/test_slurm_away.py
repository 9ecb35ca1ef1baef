"""A Slurm that does not answer, or not well: programs of its names that do what a test says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from made_runs import stopped
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import Study, load_study
from petl.runs.claim import Claim
from slurm import scheduler
from slurm.status.plan import Plan

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: lora, fold: [0, 1, 2, 3], seed: 1}
"""
PROGRAMS = {
    "squeue": 'cat "$here/queue"',
    "sacct": 'cat "$here/accounts"',
    "scontrol": "",
    "scancel": ': > "$here/queue"',
    "sbatch": """script=$(cat)
        number=$((12 + $(wc -l < "$here/queue")))
        option() { echo "$script" | sed -n "s/^#SBATCH --$1=//p"; }
        echo "$(option job-name)|$number|$(option array)|PENDING|N/A||Priority" >> "$here/queue"
        echo $number""",
}


class Slurm:
    """Its queue is a file of the lines that squeue prints."""

    def __init__(self, folder: Path):
        self.folder, self.queue, self.accounts = folder, folder / "queue", folder / "accounts"
        folder.mkdir()
        self.queue.touch()
        self.accounts.touch()
        for name, does in PROGRAMS.items():
            self.program(name, does)

    def program(self, name: str, does: str) -> None:
        file = self.folder / name
        file.write_text(f'#!/bin/sh\nhere={self.folder}\necho {name} "$@" >> $here/asked\n{does}\n')
        file.chmod(0o755)

    def does_not_answer(self) -> None:
        for name in PROGRAMS:
            self.program(name, "exec sleep 30")

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    monkeypatch.setattr(scheduler, "ASK_S", 0.6)
    monkeypatch.setattr(scheduler, "_unanswered_s", 0.0)
    monkeypatch.chdir(tmp_path)
    return made


def study(path: Path) -> Study:
    path.write_text(STUDY)
    return load_study(path)


def petl(*words: object, code: int = 0) -> str:
    told: Any = CliRunner().invoke(app, [*map(str, words)])
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    assert told.exit_code == code, told.output + told.stderr
    return told.output


def test_no_answer_is_waited_for_once_and_the_files_are_told(slurm: Slurm, tmp_path: Path) -> None:
    """With two studies in the same folder."""
    runs = tmp_path / "runs"
    first, second = study(tmp_path / "first.yaml"), study(tmp_path / "second.yaml")
    for one in (first, second):
        petl("submit", one.path, "--runs", runs, "--cluster=example", "--yes")
    stopped(first.tasks[0], runs, 3)
    with Claim(stopped(first.tasks[1], runs, 5).claim_file):
        slurm.does_not_answer()
        began = time.monotonic()
        told = petl("status", "--runs", runs)
        assert time.monotonic() - began < 3 * scheduler.ASK_S  # one limit, and this Python
    assert "warning: squeue did not answer within 1 s; this is what the files say" in told
    assert "0 of 4 done, 1 running, 3 unknown" in told
    assert "job 12_0, 3 epochs done; squeue did not answer" in told


def test_without_an_answer_cancel_says_that_the_queue_is_not_known(
    slurm: Slurm, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    one = study(tmp_path / "first.yaml")
    petl("submit", one.path, "--runs", runs, "--cluster=example", "--yes")
    slurm.does_not_answer()
    told = petl("cancel", one.path, "--runs", runs, "--yes", code=2)
    assert "nothing is cancelled, because it is not known what is queued: squeue did not" in told
    assert not any(line.startswith("scancel") for line in slurm.asked)
    slurm.program("squeue", PROGRAMS["squeue"])
    slurm.program("scancel", PROGRAMS["scancel"])
    assert "cancelled; checkpoints are kept" in petl("cancel", one.path, "--runs", runs, "--yes")
    assert "scancel 12" in slurm.asked


def test_a_command_that_keeps_looking_asks_again(slurm: Slurm, tmp_path: Path) -> None:
    one = study(tmp_path / "first.yaml")
    petl("submit", one.path, "--runs", tmp_path / "runs", "--cluster=example", "--yes")
    slurm.does_not_answer()
    assert Plan(one, tmp_path / "runs").trouble
    slurm.program("squeue", PROGRAMS["squeue"])
    assert "has not answered" in Plan(one, tmp_path / "runs").trouble
    scheduler.start_asking()
    assert not Plan(one, tmp_path / "runs").trouble

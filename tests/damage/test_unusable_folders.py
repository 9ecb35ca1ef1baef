"""Folders of other users, deleted ones and full disks are one line for each command."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from full_queue import Slurm, submit

from petl.config.study import Study
from petl.places import Places
from slurm.status.plan import Plan
from slurm.submit import control
from slurm.submit.local import run_local

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast-small, method: lora, fold: [0, 1], seed: 1}
"""
COMMANDS = ("ls", "status", "plan", "submit", "retry", "cancel", "clean", "logs")
ELSEWHERE = """
import os, sys
from typer.testing import CliRunner
from petl.cli import app, main
folder, room = sys.argv.pop(1), sys.argv.pop(1)
for words in (["ls"], ["submit", "--cluster=example", "--print-script"], ["clean"]):
    CliRunner().invoke(app, [words[0], sys.argv[2], *words[1:], f"--runs={folder}/none"])  # imports
if room == "gone":
    os.rmdir(folder)
if room == "little":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
if room == "theirs":
    os.setgid(65534)
    os.setuid(65534)
main()
"""


def elsewhere(study: Study, folder: Path, room: str, command: str, *more: str) -> tuple[int, str]:
    """In a process of its own: its user, its limits and its folder are not ours."""
    words = [sys.executable, "-c", ELSEWHERE, str(folder), room, command, str(study.path), *more]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def one_line(told: tuple[int, str]) -> bool:
    return told[0] == 2 and "Traceback" not in told[1] and told[1].count("petl: ") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_of_another_user_is_one_line(
    study: Study, places: Places, slurm: Slurm, tmp_path: Path, command: str
) -> None:
    submit(study, places, slice(0, 2))
    (places.runs / "study" / "slurm").chmod(0o700)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    more = ["--cluster=example", "--yes"] if command in ("submit", "retry") else []
    more += ["--yes"] if command in ("cancel", "clean") else []
    code, told = elsewhere(study, tmp_path, "theirs", command, f"--runs={places.runs}", *more)
    assert code in (0, 2) and "Traceback" not in told, told
    assert "permission denied" in told and str(places.runs / "study" / "slurm") in told, told


@pytest.mark.parametrize("command", COMMANDS)
def test_a_deleted_current_folder_is_one_line(study: Study, tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    gone.chmod(0o777)
    told = elsewhere(study, gone, "gone", command)
    assert one_line(told) and "the current directory: no such file" in told[1], told


def test_a_full_disk_is_one_line_and_cancelling_needs_no_room(
    study: Study, places: Places, slurm: Slurm, tmp_path: Path
) -> None:
    words = (f"--runs={places.runs}", "--cluster=example", "--yes")
    told = elsewhere(study, tmp_path, "little", "submit", *words)
    assert one_line(told) and f"{places.runs}" in told[1] and "too large" in told[1], told
    submit(study, places, slice(0, 2)).cancelled_file.write_text('{"jobs": []}\n' * 10)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        plan = Plan(study, places.runs)
        with pytest.raises(OSError, match=r"File too large.*manifest\.jsonl"):
            run_local(plan, places, 1, print)
        control.cancel(plan, control.jobs_of(plan, plan.items))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert slurm.asked == [["scancel", "12"]]

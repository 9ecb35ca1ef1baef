"""A damaged file of one submission concerns that submission: commands name it and go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from full_queue import Slurm, submit
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.places import Places
from petl.runs.directory import RunDir
from slurm.node.runs import array_job
from slurm.node.stop import Stop
from slurm.requeues import Requeues
from slurm.status.plan import Plan
from slurm.submission import read_submissions, submissions
from slurm.submit import recover

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast-small, method: lora, fold: [0, 1], seed: 1}
"""
FILES = ("submission.json", "arrays.jsonl", "cancelled.jsonl")


def other_types(file: Path) -> None:
    row = json.loads(file.read_bytes().splitlines()[0]) if file.suffix == ".jsonl" else None
    row = row or json.loads(file.read_bytes())
    file.write_text(json.dumps({key: [{"x": None}] for key in row}) + "\n")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "emptied": lambda file: file.write_bytes(b""),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "NUL-filled": lambda file: file.write_bytes(b"\0" * file.stat().st_size),
    "a list": lambda file: file.write_bytes(b"[]\n"),
    "a number": lambda file: file.write_bytes(b"1e999\n"),
    "null": lambda file: file.write_bytes(b"null\n"),
    "other types": other_types,
    "no keys": lambda file: file.write_bytes(b"{}\n"),
    "nested": lambda file: file.write_bytes(b"[" * 100_000 + b"\n"),
    "Latin-1": lambda file: file.write_bytes(b'{"job": "\xe9"}\n'),
    "a pipe": pipe,
    "a folder": folder,
    "a loop of links": loop,
}


def petl(command: str, study: Study, places: Places, *more: str) -> Any:
    folders = [f"--runs={places.runs}"]
    if command == "submit":
        folders += [f"--data={places.data}", f"--cache={places.cache}", "--cluster=example"]
    told = CliRunner().invoke(app, [command, str(study.path), *folders, *more])
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_the_other_submission_is_told(
    study: Study, places: Places, slurm: Slurm, name: str, damage: str
) -> None:
    good, bad = submit(study, places, slice(0, 1)), submit(study, places, slice(1, 2))
    DAMAGE[damage](bad.folder / name)
    harmless = damage == "emptied" and name != "submission.json"  # as before the first line
    for command in ("ls", "status", "plan"):
        told = petl(command, study, places)
        assert told.exit_code == 0, told.output
        lines = [line for line in told.stderr.splitlines() if str(bad.folder / name) in line]
        assert len(lines) == (not harmless), told.stderr
        assert str(good.folder) not in told.stderr
    first, second = Plan(study, places.runs).items
    assert first.kind == "pending"  # of a job whose number was lost, the queue knows by its name
    assert second.kind == "pending"  # the manifest has the record once more
    told = petl("cancel", study, places, "--yes")
    assert told.exit_code == 0 and slurm.asked[-1][0] == "scancel", told.output
    told = petl("submit", study, places, "--yes")
    assert told.exit_code == 0, told.output
    assert os.path.lexists(bad.folder / name)
    assert "nothing to submit" in told.output
    assert len(submissions(good.folder.parent)) == 2


@pytest.mark.parametrize("damage", ["emptied", "NUL-filled", "a pipe"])
def test_with_its_manifest_a_submission_is_left_out_and_its_jobs_end_at_once(
    study: Study, places: Places, slurm: Slurm, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """So its runs are submitted again, and none is trained twice."""
    made = submit(study, places, slice(0, 2))
    for file in ("submission.json", "manifest.jsonl"):
        DAMAGE[damage](made.folder / file)
    told = petl("submit", study, places, "--yes")
    assert "submitted 2 runs" in told.output and f"squeue --name={made.name(0)}" in told.stderr
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    with pytest.raises(UserError, match=r"submission\.json"):
        array_job(made.manifest, 0, places, Stop())


def test_the_manifests_record_is_its_writers_word_too(
    study: Study, places: Places, slurm: Slurm
) -> None:
    """Whoever damages the record may have written the manifest anew, with another profile."""
    made = submit(study, places, slice(0, 2))
    (made.folder / "submission.json").write_bytes(b"")
    (again,) = submissions(made.folder.parent)
    assert again.record == made.record and again.is_mine()
    if os.geteuid() == 0:
        os.chown(made.manifest, 65534, 65534)
        assert not again.is_mine()


def test_a_lost_job_number_is_found_by_the_arrays_name(
    study: Study, places: Places, slurm: Slurm
) -> None:
    """recover() writes it down anew."""
    made = submit(study, places, slice(0, 2))
    os.truncate(made.arrays_file, 20)
    recover.recover(made.folder.parent)
    (again,), damage = read_submissions(made.folder.parent)
    assert again.job_numbers == {0: "12"} and not damage


def test_without_a_study_the_others_are_told(study: Study, places: Places, slurm: Slurm) -> None:
    submit(study, places, slice(0, 2))
    for name in ("gone", "damaged"):
        other = study.path.with_name(f"{name}.yaml")
        other.write_text(STUDY)
        made = submit(load_study(other), places, slice(0, 2))
        if name == "gone":
            other.unlink()
        else:
            for file in ("submission.json", "manifest.jsonl"):
                (made.folder / file).write_bytes(b"\0" * 100)
    told = CliRunner().invoke(app, ["ls", f"--runs={places.runs}"])
    assert told.exit_code == 0 and len(told.stdout.splitlines()) == 2, told.output
    gone, damaged = sorted(told.stderr.splitlines(), key=lambda line: "submission.json" in line)
    assert "gone.yaml: no such file" in gone and "submission.json" in damaged
    assert "squeue --name=petl-damaged-" in damaged


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"[1]", b"7", b'{"times": {}}', b'"x"'])
def test_a_damaged_count_of_requeues_is_the_first_time(
    study: Study, places: Places, slurm: Slurm, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    submit(study, places, slice(0, 2))
    run = RunDir.of(study.tasks[0], places.runs)
    run.path.mkdir(parents=True)
    requeues = Requeues(run)
    requeues.file.write_bytes(content)
    assert petl("status", study, places).exit_code == 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    assert (requeues.begin(), requeues.begin(), requeues.times()) == (1, 2, 2)


def test_logs_wait_on_no_pipe(study: Study, places: Places, slurm: Slurm) -> None:
    made = submit(study, places, slice(0, 2))
    os.mkfifo(made.log("12_0"))
    told = petl("logs", study, places, "fold=0")
    assert told.exit_code == 0 and "no log yet" in told.output

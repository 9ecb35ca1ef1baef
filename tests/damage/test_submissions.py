"""A damaged file of one submission concerns that submission: commands name it and go on."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.config.options import Options
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.places import Places
from petl.runs.directory import RunDir
from slurm.node.runs import array_job
from slurm.node.stop import Stop
from slurm.requeues import Requeues
from slurm.scheduler import Answer, ArrayTask, Job
from slurm.status.plan import Plan
from slurm.submission import Submission, read_submissions, submissions
from slurm.submit import control, recover, sbatch
from slurm.submit.local import run_local
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Batch, Cluster, prepare

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


class Slurm:
    """All that was ever submitted waits in its queue."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def queued(self, arrays: list[str]) -> Answer:
        return Answer({ArrayTask(a, i): Job(f"12_{i}", "PENDING") for a in arrays for i in (0, 1)})

    def run(self, command: list[str], text: str = "") -> str:
        self.asked.append(list(command))
        return "13\n"


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    fake = Slurm()
    for module in ("slurm.status.plan", "slurm.submit.recover"):
        monkeypatch.setattr(f"{module}.queued", fake.queued)
        monkeypatch.setattr(f"{module}.accounted", lambda arrays, since: Answer())
    for room in (control, sbatch):
        monkeypatch.setattr(room, "run", fake.run)
    monkeypatch.setattr(sbatch, "ask", fake.run)
    return fake


def submit(study: Study, places: Places, items: slice) -> Submission:
    cluster = Cluster("example", Profile(time="10", max_array_size=10), places, Options())
    plan = Plan(study, places.runs)
    made = prepare(plan, Batch(plan.items[items], 16.0), cluster)
    made.note(0, "12")
    made.cancelled_file.write_text('{"jobs": ["12_7"]}\n')
    return made


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


# --- folders that cannot be used ------------------------------------------------------------------

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

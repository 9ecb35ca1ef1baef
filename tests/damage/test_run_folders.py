"""A damaged file in a run's folder concerns that run only, is named, and is never waited for."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.runs.claim import holder, is_alive
from petl.runs.damage import damage_of
from petl.runs.directory import RunDir, Runs
from petl.runs.find import find_run
from petl.runs.synthetic import fabricate

STUDY = """
description: damaged
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: linear, fold: [0, 1], seed: 1}
set: {train: {epochs: 2}}
"""
KINDS = ("empty", "half", "zero bytes", "list", "number", "no keys", "deep", "not UTF-8", "pipe")
KINDS += ("folder", "dangling link", "looping link", "too large a number")
FILES = ("task.json", "result.json", "metrics.jsonl", "failure.json", "claim.json")


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """Waiting for a pipe ends in an error."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(30)
    yield
    signal.alarm(0)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "mine.yaml").write_text(STUDY)
    study = load_study(tmp_path / "mine.yaml")
    fabricate(study, tmp_path / "runs")
    return study


def spoil(file: Path, kind: str) -> None:
    content = file.read_bytes() if file.exists() else b'{"message": "no", "token": "x"}\n'
    file.unlink(missing_ok=True)
    written = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "zero bytes": bytes(len(content)),
        "list": b"[1, 2]\n",
        "number": b"7\n",
        "no keys": b"{}\n",
        "deep": b"[" * 100_000 + b"\n",
        "not UTF-8": b'{"epoch": "\xff\xfe"}\n',
        "too large a number": b'{"epoch": ' + b"9" * 5_000 + b"}\n",
    }
    if kind in written:
        file.write_bytes(written[kind])
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("gone" if kind == "dangling link" else file.name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_is_one_line_and_one_run(
    name: str, kind: str, study: Study, tmp_path: Path
) -> None:
    bad, good = (RunDir.of(task, tmp_path / "runs") for task in study.tasks)
    if name in ("failure.json", "claim.json"):
        bad.result_file.unlink()
    spoil(bad.path / name, kind)
    runs = Runs(bad.path.parent)
    assert runs.state(good.path.name).kind == "done" and not damage_of(good)
    state = runs.state(bad.path.name)
    if name == "result.json":
        assert (state.kind, state.damaged) == ("stopped", True) and "result.json: " in state.reason
    _ = bad.metrics(), bad.task(), runs.task(bad.path.name), bad.failure()
    expected = 0 if (name, kind) == ("failure.json", "no keys") else 1
    lines = [str(damage) for damage in damage_of(bad)]
    assert len(lines) == expected, lines
    assert all(str(bad.path / name) in line and "\n" not in line for line in lines)


@pytest.mark.parametrize("command", ["plan", "status", "table"])
def test_commands_go_on_with_the_other_runs(command: str, study: Study, tmp_path: Path) -> None:
    bad = RunDir.of(study.tasks[0], tmp_path / "runs")
    spoil(bad.result_file, "pipe")
    call = [command, str(study.path), "--runs", str(tmp_path / "runs")]
    call += ["--out", str(tmp_path / "out")] if command == "table" else []
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, (result.output, result.exception)


def test_training_again_keeps_the_damaged_result(study: Study, tmp_path: Path) -> None:
    run = RunDir.of(study.tasks[0], tmp_path / "runs")
    newer = json.dumps(json.loads(run.result_file.read_text()) | {"schema": 2})
    for i in ("", "1"):
        run.result_file.write_text(newer)
        run.start(study.tasks[0])
        assert not run.result_file.exists()
        assert (run.path / f"result.json.damaged{i}").read_text() == newer


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
@pytest.mark.parametrize("name", [*FILES[:3], "."])
def test_what_another_user_may_not_read_is_named(name: str, study: Study, tmp_path: Path) -> None:
    """As user nobody, in a child process."""
    bad, good = (RunDir.of(task, tmp_path / "runs") for task in study.tasks)
    for folder in (*tmp_path.parents, tmp_path):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    (bad.path / name).chmod(0)
    if not (child := os.fork()):
        code = 1
        try:
            os.setuid(65534)
            (damage,) = damage_of(bad)
            state = Runs(bad.path.parent).state(bad.path.name)
            readable = good.state().kind == "done" and "permission denied" in str(damage)
            code = 0 if readable and (name != "result.json" or state.damaged) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_claim_that_names_no_process_holds_nothing(study: Study, tmp_path: Path) -> None:
    claim = RunDir.of(study.tasks[0], tmp_path / "runs").claim_file
    for pid in ("../../etc/passwd", "\0", None, [1], {}):
        claim.write_text(json.dumps({"token": "x", "host": "h", "pid": pid, "born": "1"}))
        assert holder(claim) is None and not is_alive(claim)


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3_000, "../../x", "é" * 200])
def test_a_run_that_cannot_be_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        find_run(name, tmp_path)
    assert "\n" not in str(error.value)

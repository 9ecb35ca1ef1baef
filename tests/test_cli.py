"""What the commands say and leave behind; training itself is tested elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from made_runs import failed, finished, stopped
from typer.testing import CliRunner, Result

from petl import __version__
from petl.cli import COMMANDS, app
from petl.config.schema import study_schema
from petl.config.study import EXPERIMENTS, Study, load_study
from petl.errors import UserError
from petl.runs.claim import Claim

QUICKSTART = EXPERIMENTS / "quickstart.yaml"


@pytest.fixture
def study() -> Study:
    return load_study(QUICKSTART)


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_version() -> None:
    assert petl("--version").stdout == f"petl {__version__}\n"


def test_every_command_has_help_with_an_example() -> None:
    listed = petl("--help").stdout.split("Commands:")[1].splitlines()[1:]
    commands = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert commands[:3] == ["init", "plan", "submit"]
    for command in commands[:-1]:
        told = petl(command, "--help")
        assert told.exit_code == 0
        assert f"petl {command} " in told.stdout.split("Example:")[1]


@pytest.mark.parametrize(
    "wrong", [["plan"], ["plna", "x"], ["plan", "x", "--no"], ["submit", "x", "--local", "0"]]
)
def test_wrong_use_is_exit_code_2_without_a_traceback(wrong: list[str]) -> None:
    told = petl(*wrong)
    assert told.exit_code == 2
    assert "Usage: petl" in told.stderr
    assert "Traceback" not in told.output


def test_a_bug_gets_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(path: Path) -> Study:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("slurm.submit.commands.load_study", bug)
    assert isinstance(petl("plan", QUICKSTART).exception, ZeroDivisionError)


def test_a_mistake_of_several_lines_is_told_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistake(path: Path) -> Study:
        raise UserError("one\n  two")

    monkeypatch.setattr("slurm.submit.commands.load_study", mistake)
    assert petl("plan", QUICKSTART).stderr == "petl: one two\n"


def test_plan_counts_what_is_done(study: Study, tmp_path: Path) -> None:
    finished(study.tasks[0], tmp_path, seconds=120)
    told = petl("plan", QUICKSTART, "--runs", tmp_path).stdout
    assert "1 of 30 done, 29 waiting" in told
    assert "time left: about 58 min, one run after the other" in told


def test_plan_lists_each_run_with_what_selects_it(study: Study, tmp_path: Path) -> None:
    finished(study.tasks[0], tmp_path)
    lines = petl("plan", QUICKSTART, "--runs", tmp_path, "--list").stdout.splitlines()
    assert len(lines) == 30
    assert lines[0].split() == [
        study.tasks[0].run_id,
        "done",
        *("--dataset", "made-sounds", "--backbone", "ast-small", "--method", "full"),
        *("--fold", "0", "--seed", "10"),
    ]


def test_status_says_why(study: Study, tmp_path: Path) -> None:
    finished(study.tasks[0], tmp_path, accuracy=0.625)
    failed(study.tasks[1], tmp_path, "the loss was nan in epoch 3")
    stopped(study.tasks[2], tmp_path, 4)
    told = petl("status", QUICKSTART, "--runs", tmp_path).stdout
    assert "62.5 %" in told
    assert "the loss was nan in epoch 3" in told
    assert "interrupted in epoch 5" in told
    assert "1 of 30 done, 1 failed, 1 stopped, 27 waiting" in told
    assert "\x1b" not in told


def test_submitting_what_is_done_does_nothing(study: Study, tmp_path: Path) -> None:
    for task in study.tasks:
        finished(task, tmp_path)
    told = petl("submit", QUICKSTART, "--local", 1, "--runs", tmp_path)
    assert (told.exit_code, told.stdout) == (0, "30 of 30 done, nothing to do\n")


def test_submitting_leaves_alone_what_somebody_runs(study: Study, tmp_path: Path) -> None:
    for task in study.tasks[1:]:
        finished(task, tmp_path)
    with Claim(stopped(study.tasks[0], tmp_path, 1).claim_file):
        told = petl("submit", QUICKSTART, "--local", 1, "--runs", tmp_path)
    assert told.stdout == "29 of 30 done, 1 running, nothing to do\n"


def test_a_result_of_another_version_is_not_guessed_at(study: Study, tmp_path: Path) -> None:
    result = finished(study.tasks[0], tmp_path).result_file
    result.write_text(result.read_text().replace('"schema": 1', '"schema": 99'))
    told = petl("status", QUICKSTART, "--runs", tmp_path)
    assert told.exit_code == 0, told.output
    assert "result.json: schema 99; this version reads 1" in " ".join(told.output.split())
    assert "1 stopped" in petl("plan", QUICKSTART, "--runs", tmp_path).output


def test_places_come_from_the_environment_too(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(study.tasks[0], tmp_path)
    monkeypatch.setenv("PETL_RUNS", str(tmp_path))
    assert "1 of 30 done" in petl("plan", QUICKSTART).stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m petl.cli plan {QUICKSTART} --list | head -1"
    root = EXPERIMENTS.parent
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=root)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_terminal_without_unicode_is_no_error(study: Study, tmp_path: Path) -> None:
    failed(study.tasks[0], tmp_path, "µ-law · 漢字")
    command = [sys.executable, "-m", "petl.cli", "status", str(QUICKSTART), "--runs", str(tmp_path)]
    environment = {
        "PYTHONIOENCODING": "ascii",
        "PATH": "/bin",
        "PYTHONPATH": str(EXPERIMENTS.parent),
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "x...." in done.stdout


# --- the schema -----------------------------------------------------------------------------------


def test_the_schema_that_editors_read_is_current() -> None:
    kept = EXPERIMENTS / "study.schema.json"
    assert json.loads(kept.read_text()) == study_schema(), (
        "petl schema --out experiments/study.schema.json"
    )


def test_the_schema_is_written_where_one_says(tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    assert petl("schema", "--out", out).exit_code == 0
    assert out.read_text() == petl("schema").stdout
    assert petl("schema", "--out", out / "below-a-file").exit_code == 2


def test_the_schema_lets_no_unknown_key_pass_and_requires_nothing_of_a_part() -> None:
    schema = study_schema()
    for name, model in schema["$defs"].items():
        if model.get("type") == "object":
            assert model["additionalProperties"] is False, name
    assert set(schema["required"]) == {"matrix"}
    assert "required" not in schema["$defs"]["Train"]
    assert "conformer-houlsby" in json.dumps(schema["$defs"]["method-name"])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_types_as_words(name: str) -> None:
    """Not `<list[str]>` or `<class ...>`, also in the commands of `petl data`."""
    command = typer.main.get_command(app).get_command(None, name)
    for words in [[], *([inner] for inner in getattr(command, "commands", {}))]:
        told = CliRunner().invoke(app, [name, *words, "--help"]).stdout
        assert not re.search(r"<\w+|list\[|<class", told), told

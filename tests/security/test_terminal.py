"""What other people's files say reaches the terminal as text, never as commands to it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import load_study
from petl.files import write_json
from petl.runs.directory import RunDir
from petl.terminal import console, printable

ROOT = Path(__file__).parents[2]
ATTACKS = {
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "title": "\x1b]0;root@node\x07",
    "clear": "\x1b[2J\x1b[H",
    "hidden": "\x1b[8mhidden\x1b[0m",
    "C1": "\x9b2J",
    "return": "done\roverwritten",
    "right to left": "\u202egnp.exe",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_log_and_a_failure_are_shown_escaped(tmp_path: Path, attack: str) -> None:
    study = load_study("quickstart")
    task, text = study.tasks[0], f"before {ATTACKS[attack]} after"
    run = RunDir.of(task, tmp_path)
    run.path.mkdir(parents=True)
    run.start(task)
    write_json(run.failure_file, {"class": "error", "kind": text, "message": text, "traceback": ""})
    run.log_file.write_text(f"{text}\n")
    for command in (["status"], ["ls"], ["logs", f"run={task.run_id}"]):
        arguments = [command[0], "quickstart", *command[1:], "--runs", str(tmp_path)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert not set(result.output) & set("\x1b\x07\x9b\r\u202e"), repr(result.output)
        assert "before" in result.output


def test_an_error_is_shown_escaped() -> None:
    result = CliRunner().invoke(app, ["plan", "a\x1b[2Jb.yaml"])
    assert result.exit_code == 2
    assert "\x1b" not in result.output and "\\x1b" in result.output


def test_the_console_escapes_tables_too(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table("\x1b]0;head\x07")
    table.add_row("\x1b[2Jcell")
    console(width=60).print(table)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\\x1b[2Jcell" in shown


def test_ordinary_text_stays_as_it_is() -> None:
    text = "Café, ±, 東京, emoji \N{DOG FACE}\n\ttabbed"
    assert printable(text) == text


def test_no_command_writes_around_the_escaping() -> None:
    """`print`, `typer.echo` and rich's own Console would: terminal.py alone may use them."""
    allowed = {
        "petl/terminal.py",
        "petl/cli.py",  # --version
        "analysis/tables/commands.py",  # a table with colours, escaped where it is made
    }
    found = []
    for folder in ("petl", "slurm", "analysis"):
        for file in (ROOT / folder).rglob("*.py"):
            name = str(file.relative_to(ROOT))
            if name in allowed or "/node/" in name or name.startswith("analysis/notebooks"):
                continue  # those print into a job's log or a notebook, not to a terminal
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                    "print",
                    "typer.echo",
                    "Console",
                ):
                    found.append(f"{name}:{node.lineno}")
    assert not found

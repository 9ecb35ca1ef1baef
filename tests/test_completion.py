"""TAB in a real bash and zsh, as somebody has it who ran `petl --install-completion`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from made_runs import finished

from petl.cli import COMMANDS
from petl.config.study import EXPERIMENTS, load_study

START = {"bash": ["-i"], "zsh": ["-i"]}
QUIET = {  # the quotes inside: what the terminal echoes of this line is not the prompt
    "bash": "bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; PS1='READY''> '",
    "zsh": "unset zle_bracketed_paste; unsetopt prompt_cr prompt_sp; PS1='READY''> '",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with `petl` on PATH."""
    command = tmp_path / "bin" / "petl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m petl "$@"\n')
    command.chmod(0o755)
    for rc in (".bashrc", ".zshrc"):
        (tmp_path / rc).touch()
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    places = {"PYTHONPATH": str(EXPERIMENTS.parent), "PETL_RUNS": str(home / "runs")}
    return kept | places | {"HOME": str(home), "PATH": path, "TERM": "dumb"}


@pytest.fixture(params=["bash", "zsh"])
def shell(request, home: Path) -> Iterator[pexpect.spawn]:
    """A new interactive shell in a home where completion is installed."""
    name = request.param
    if shutil.which(name) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    settings = {"env": environment(home), "cwd": str(home), "encoding": "utf-8", "timeout": 30}
    with_petl = pexpect.spawn(shutil.which(name), START[name], **settings)
    with_petl.sendline("petl --install-completion; echo DONE-$?")
    with_petl.expect("DONE-0\r")
    with_petl.close(force=True)
    child = pexpect.spawn(shutil.which(name), START[name], **settings)
    child.sendline(QUIET[name])
    child.expect("READY> ")
    child.setecho(False)
    yield child
    child.close(force=True)


def tab(shell: pexpect.spawn, typed: str, expected: str) -> None:
    shell.send(f"{typed}\t")
    shell.expect(expected)
    shell.sendcontrol("u")  # forget the line
    shell.sendline("echo next")
    shell.expect("\nnext\r")
    shell.expect("READY> ")


@pytest.mark.slow
def test_tab_completes_commands_studies_and_runs(shell: pexpect.spawn, home: Path) -> None:
    run = finished(load_study("quickstart").tasks[0], home / "runs").path.name
    (home / "birds.yaml").touch()
    (home / "birds$(touch stolen).yaml").touch()
    (home / "mine").mkdir()
    tab(shell, "petl stat", "petl stat(us|\a)")  # the first one in a zsh only loads the script
    tab(shell, "petl stat", "petl status")
    tab(shell, "petl plan quick", "petl plan quickstart")
    tab(shell, "petl plan bir", r"petl plan birds\.yaml")
    tab(shell, "petl plan min", "petl plan mine/")
    tab(shell, f"petl predict {run[:5]}", f"petl predict {run}")
    tab(shell, "petl evaluate --per-c", "petl evaluate --per-class")
    assert not (home / "stolen").exists()


def answers(line: str, home: Path) -> list[str]:
    """What bash is told."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    asked = environment(home) | words | {"_PETL_COMPLETE": "complete_bash"}
    command = [sys.executable, "-X", "importtime", "-m", "petl"]
    told = subprocess.run(command, env=asked, cwd=home, capture_output=True, text=True, check=True)
    imported = re.findall(r"\| +([\w.]+)$", told.stderr, flags=re.MULTILINE)
    assert "typer" in imported
    assert not {"torch", "numpy", "pandas", "slurm", "analysis"} & set(imported)
    return told.stdout.split()


def test_tab_at_a_commands_name_imports_no_room(home: Path) -> None:
    assert answers("petl ", home) == [name for name, (_, text) in COMMANDS.items() if text]
    assert answers("petl pl", home) == ["plan"]


def test_python_m_petl_is_petl(home: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "petl", "plan", "nosuch"],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert told.stderr.startswith("petl: no study 'nosuch'")

"""A Slurm of shell scripts, which do what a test says: it needs no root and no seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import Study, load_study

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast-small, method: lora, fold: [0, 1, 2, 3], seed: 1}
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


def made_study(path: Path) -> Study:
    path.write_text(STUDY)
    return load_study(path)


def told_by(*words: object, code: int = 0) -> str:
    told: Any = CliRunner().invoke(app, [*map(str, words)])
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    assert told.exit_code == code, told.output + told.stderr
    return told.output

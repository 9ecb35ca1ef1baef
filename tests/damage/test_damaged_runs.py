"""Files of runs are damaged in all ways at once, and every command goes on with the other runs."""

from __future__ import annotations

import ctypes
import io
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.damage.ways import Damaged

LIMIT_S = 20
READ_ONLY = [
    "plan S",
    "plan S --list",
    "status S",
    "ls S",
    "status S --cost",
    "logs S ID",
    "table S --format text",
    "table S --format latex",
    "table S --format csv",
    "table S --format markdown",
    "table S --out OUT/table",
    "table S --trace linear made",
    "report S --out OUT/report.html",
    "figure parameters S --out OUT",
    "figure folds S --out OUT",
    "figure cost S --out OUT",
    "figure classes S --out OUT",
    "figure convergence S --out OUT",
    "figure confusion S --method lora --out OUT",
    "curves S --out OUT/curves.png --method lora",
    "clean S --yes",
]


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def hangs(self) -> bool:
        return self.code == -signal.SIGALRM

    @property
    def traceback(self) -> str:
        return self.err[self.err.find("Traceback") :] if "Traceback" in self.err else ""


def without_privileges() -> None:
    """Root reads every file; from here on this process reads what its user may read."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    overrides = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    for i in range(3):
        sets[i] &= ~overrides
    assert libc.capset(header, sets) == 0


def in_a_child(work: Callable[[], object]) -> Answer:
    """In a process of its own that has a time limit; a fork, because imports take seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            code = 0
            signal.alarm(LIMIT_S)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdin = open(os.devnull)
            sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), errors="replace")
            sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), errors="replace")
            try:
                without_privileges()
                work()
            except SystemExit as left:
                code = int(left.code or 0)
            except BaseException:
                traceback.print_exc()
                code = 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        return Answer(code, *texts)


@pytest.fixture(scope="module")
def damaged() -> Iterator[Damaged]:
    with tempfile.TemporaryDirectory() as folder:
        yield Damaged(Path(folder))


def petl(damaged: Damaged, command: str) -> Answer:
    words = command.split()
    named = {"S": str(damaged.study.path), "ID": damaged.whole[0]}
    words = [named.get(word, word.replace("OUT", str(damaged.folder / "out"))) for word in words]

    def work() -> None:
        from petl.cli import app

        app([*words, "--runs", str(damaged.runs)], prog_name="petl")

    return in_a_child(work)

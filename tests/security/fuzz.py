"""Thousands of damaged or hostile inputs, and what petl answers: a value or a UserError, in time.

    python -m tests.security.fuzz [SHARE]

prints a table of 20,000 inputs, or of a share of them, and exits with 1 if anything else happened.
The same seed makes the same inputs.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from petl.errors import UserError
from tests.security.fuzz_inputs import Fuzz

SEED, LIMIT_S = 1, 10
INPUTS = {
    "study file": 2_000,
    "selection word": 6_500,
    "value of --set": 6_000,
    "--set of a profile": 500,
    "run folder": 2_500,
    "archive of runs": 1_000,
    "audio header": 1_500,
}


class Hang(BaseException):
    """No `except Exception` swallows it."""


@dataclass
class Row:
    inputs: int = 0
    refused: int = 0
    hangs: int = 0
    escapes: int = 0
    tracebacks: list[str] = field(default_factory=list)
    seconds: float = 0.0


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(folder: Path, share: float = 1.0) -> dict[str, Row]:
    tries = Fuzz(folder)
    methods: list[Callable[[Random], Any]] = [
        *(tries.study_file, tries.selection_word, tries.value, tries.profile_value),
        *(tries.run_folder, tries.archive, tries.audio),
    ]
    table = {}
    for kind, method in zip(INPUTS, methods, strict=True):
        row = table[kind] = Row()
        start = time.process_time()
        for i in range(round(INPUTS[kind] * share)):
            row.inputs += 1
            try:
                with limited(LIMIT_S):
                    row.escapes += method(Random(f"{SEED} {kind} {i}")) is True
            except UserError as error:
                row.refused += 1
                if len(str(error).splitlines()) > 1:
                    row.tracebacks.append(f"{kind} {i}: over one line: {error}")
            except Hang:
                row.hangs += 1
            except Exception:
                row.tracebacks.append(f"{kind} {i}:\n{traceback.format_exc(limit=-4)}")
        row.seconds = time.process_time() - start
    return table


def told(table: dict[str, Row]) -> str:
    columns = f"{'inputs':>8}{'refused':>9}{'tracebacks':>12}{'hangs':>7}{'escapes':>9}{'s':>6}"
    lines = [f"{'kind':20}{columns}"]
    total = Row()
    for kind, row in table.items():
        lines.append(_line(kind, row))
        for name in ("inputs", "refused", "hangs", "escapes", "tracebacks", "seconds"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
    return "\n".join([*lines, _line("all", total), *total.tracebacks[:8]])


def _line(kind: str, row: Row) -> str:
    counts = f"{row.inputs:8}{row.refused:9}{len(row.tracebacks):12}{row.hangs:7}{row.escapes:9}"
    return f"{kind:20}{counts}{row.seconds:6.1f}"


def main() -> None:
    share = float(sys.argv[1]) if sys.argv[1:] else 1.0
    with tempfile.TemporaryDirectory() as folder:
        table = fuzz(Path(folder), share)
    print(told(table))
    sys.exit(any(row.tracebacks or row.hangs or row.escapes for row in table.values()))


if __name__ == "__main__":
    main()

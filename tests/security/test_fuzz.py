"""A tenth of the inputs of `python -m tests.security.fuzz`, which .ci/run tries in full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_damaged_and_hostile_inputs_are_read_or_refused_in_one_line() -> None:
    """In a process of its own, because it needs the main thread's alarm."""
    command = [sys.executable, "-m", "tests.security.fuzz", "0.1"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=root)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.count("\n") == 9

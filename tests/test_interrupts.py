"""Ctrl-C in the first seconds of a command, while Python imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
START = "import petl.__main__ as petl; print('begun', flush=True); petl.main()"
WHOLE = {
    "status": ["status", "nothing.yaml"],
    "plan": ["plan", "experiments/table1.yaml"],
    "train": ["train", "experiments/quickstart.yaml", "--method", "linear", "--fold", "0"],
}


def interrupted(words: list[str], after_s: float, folder: Path) -> tuple[int, str]:
    """Exit code and stderr; what was not interrupted in time has ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **{f"PETL_{name}": str(folder) for name in ("RUNS", "DATA", "CACHE")}},
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def in_one_line(told: tuple[int, str]) -> bool:
    code, err = told
    return code == 130 and err.count("\n") == 1 and err.startswith(("petl: interrupted", "petl: s"))


def test_ctrl_c_while_python_imports_is_one_line(tmp_path: Path) -> None:
    assert interrupted(WHOLE["status"], 0.01, tmp_path) == (130, "petl: interrupted\n")


@pytest.mark.slow
@pytest.mark.parametrize("command", WHOLE)
def test_ctrl_c_at_any_moment_of_the_first_seconds_is_one_line(
    command: str, tmp_path: Path
) -> None:
    for moment in range(20 if command == "train" else 8):
        code, err = told = interrupted(WHOLE[command], 0.005 + 0.1 * moment, tmp_path)
        # Python's very last steps no longer listen: then the signal itself ends the process
        ended = command != "train" and "Traceback" not in err and code in (0, 2, -signal.SIGINT)
        assert ended or in_one_line(told), f"after {0.1 * moment:.1f} s: {told}"


def test_who_ignores_ctrl_c_goes_on_ignoring_it(tmp_path: Path) -> None:
    """As what a shell starts in the background, or nohup."""
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code = f"{ignoring}from petl.early import guard, release\nguard(); release()\n"
    code += "import os; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "alive\n"

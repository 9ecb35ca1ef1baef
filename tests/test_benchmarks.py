"""The benchmarks run and print their tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["memory", "step"])
def test_a_quick_run_prints_a_table_with_the_library_beside_ours(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert {"ours", "the library's"} <= {
        line.split("  ")[0].split(",")[0] for line in out.split("\n")
    }

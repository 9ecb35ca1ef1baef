"""The benchmarks run and print their tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["memory", "step"])
def test_a_quick_run_prints_a_table_with_the_library_beside_ours(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert {"ours", "the library's"} <= {
        line.split("  ")[0].split(",")[0] for line in out.split("\n")
    }


def test_a_quick_run_tells_cold_and_warm_speed_of_features() -> None:
    command = [sys.executable, "-m", "benchmarks.features", "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    figures = {
        line[:34].strip(): line[34:].split() for line in out.split("\n") if line[34:].strip()
    }
    speed, ratio, _ = map(float, figures["ours"])
    assert ratio == pytest.approx(speed / float(figures["librosa, kaiser_best"][0]), rel=0.05)
    assert float(figures["a warm job, imports and data"][0]) > 0


def test_a_quick_run_tells_what_the_loop_adds() -> None:
    command = [sys.executable, "-m", "benchmarks.loop", "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    bare, loop = (line.split() for line in out.split("\n") if " ms " in line)
    assert float(loop[3]) == pytest.approx(float(loop[1]) / float(bare[1]), rel=0.01)


def test_a_quick_run_tells_what_the_cache_of_frozen_parts_saves(tmp_path: Path) -> None:
    figure = tmp_path / "curve.png"
    command = [sys.executable, "-m", "benchmarks.frozen", "--quick", "--figure", str(figure)]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    (row,) = (line.split() for line in out.split("\n") if line.startswith("1 "))
    assert float(row[7]) == pytest.approx(float(row[1]) / float(row[3]), abs=0.1)
    assert float(out.split()[-1]) < 1e-6
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_small_run_tells_what_very_many_runs_cost_as_folders_and_packed() -> None:
    command = [sys.executable, "-m", "benchmarks.scale", "--runs", "30"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert {"plan, no runs yet", "status, folders", "analysis.load, packed"} <= {
        line[:48].strip() for line in out.split("\n")
    }
    inodes = [int(line.split()[0]) for line in out.split("\n") if "inodes in all" in line]
    assert inodes == [30 * 5 + 2, 5]


def test_a_quick_run_tells_the_speed_of_both_recipes_beside_librosas() -> None:
    command = [sys.executable, "-m", "benchmarks.front_ends", "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    rows = {line[:34].strip(): line[34:].split() for line in out.split("\n")[2:] if line}
    for recipe in ("image for ViT, 30 s", "mel for AST, 10 s"):
        theirs, ours = rows[f"{recipe}, librosa"], rows[f"{recipe}, ours"]
        assert float(ours[1]) == pytest.approx(float(ours[0]) / float(theirs[0]), abs=0.02)


def test_a_quick_run_tells_time_and_memory_of_each_generator() -> None:
    command = [sys.executable, "-m", "benchmarks.generators", "--quick"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    rows = {line.split()[0]: [*map(float, line.split()[1:])] for line in out.splitlines()[4:]}
    assert set(rows) == {"gan", "r3gan", "flow"}
    for width, _, saved, step, epoch, peak, seconds, times, _ in rows.values():
        assert width == 4 and 0 < saved < peak < 2
        assert epoch == pytest.approx(14 * step, abs=0.2)
        assert times == pytest.approx(8 * 0.64 / seconds, rel=0.2)

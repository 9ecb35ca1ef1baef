"""Plan, status and analysis of 100,000 synthetic runs, as folders and packed.

python -m benchmarks.scale [--quick] [--runs 100000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

METHODS = ("full", "linear", "bitfit", "lora", "bottleneck-pfeiffer", "conformer-pfeiffer")
FOLDS = 5
LOAD = "from analysis import load; f = load(sys.argv[1], Path(sys.argv[2])); assert len(f)"
HISTORY = "from analysis import history; f = history(sys.argv[1], Path(sys.argv[2])); assert len(f)"


class Cost(NamedTuple):
    seconds: float
    processor: float
    """Processor seconds. On a busy machine they say more than the clock."""
    peak_mb: float


def study_of(runs: int, folder: Path) -> Path:
    seeds = range(-(-runs // (FOLDS * len(METHODS))))
    file = folder / "scale.yaml"
    file.write_text(
        "description: many runs\nprofile: as-run\nreport: test_last\n"
        f"matrix: {{dataset: esc50, backbone: ast, method: [{', '.join(METHODS)}], fold: all, "
        f"seed: [{', '.join(map(str, seeds))}]}}\nset: {{train: {{epochs: 20}}}}\n"
    )
    return file


def petl(*arguments: str | Path) -> Cost:
    return _measured([sys.executable, "-m", "petl.cli", *map(str, arguments)])


def python(code: str, *arguments: str | Path) -> Cost:
    start = "import sys; from pathlib import Path; "
    return _measured([sys.executable, "-c", start + code, *map(str, arguments)])


def _measured(command: list[str]) -> Cost:
    """Run it as a process; measure its time and its peak memory.

    The peak includes the memory of the parent at the fork, so this process imports little.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: failed")
    processor = used.ru_utime + used.ru_stime
    return Cost(time.perf_counter() - began, processor, used.ru_maxrss / 1000)


def forget(folder: Path) -> None:
    """Drop these files from the page cache, so that the next reader reads from disk."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def inodes(folder: Path) -> int:
    return 1 + sum(len(folders) + len(files) for _, folders, files in os.walk(folder))


def measure(study: Path, runs: Path) -> Iterator[tuple[str, Cost]]:
    folder = runs / study.stem
    at = (study, "--runs", runs)
    yield "plan, no runs yet", petl("plan", *at)
    yield "(making the runs)", petl("fabricate", *at)
    a_run = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    print(f"{inodes(a_run)} inodes for a run, with its folder; with weights one more")
    print(f"{inodes(folder)} inodes in all")
    yield "plan, folders", petl("plan", *at)
    yield "status, folders", petl("status", *at)
    yield "analysis.load, folders", python(LOAD, study, runs)
    yield "analysis.history, folders", python(HISTORY, study, runs)
    yield "compact", petl("compact", *at, "--yes")
    print(f"{inodes(folder)} inodes in all")
    forget(folder / "packed")
    yield "status, packed, not in the page cache", petl("status", *at)
    yield "status, packed", petl("status", *at)
    forget(folder / "packed")
    yield "analysis.load, packed, not in the page cache", python(LOAD, study, runs)
    yield "analysis.load, packed", python(LOAD, study, runs)
    yield "analysis.load of the folder alone, packed", python(LOAD, folder, runs)
    yield "analysis.history, packed", python(HISTORY, study, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1,000 runs")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to make the runs [TMPDIR]")
    arguments = parser.parse_args()
    number = 1_000 if arguments.quick else arguments.runs
    cpu = Path("/proc/cpuinfo").read_text().partition("model name\t: ")[2].partition("\n")[0]
    print(f"{cpu} ({platform.machine()}), {os.cpu_count()} cores; Python {sys.version.split()[0]}")
    with TemporaryDirectory(prefix="petl-scale-", dir=arguments.folder) as folder:
        study = study_of(number, Path(folder))
        print(f"{'':48s}{'s':>8s} {'processor s':>10s} {'peak MB':>8s}")
        for what, cost in measure(study, Path(folder) / "runs"):
            figures = f"{cost.seconds:8.1f} {cost.processor:11.1f} {cost.peak_mb:8.0f}"
            print(f"{what:48s}{figures}", flush=True)


if __name__ == "__main__":
    main()

"""Submit 10,000 runs to a real Slurm on this machine, held in its queue; show and cancel them.

python -m benchmarks.submit [--quick]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from slurm.devcluster import DevCluster
from slurm.devcluster.packages import why_unavailable
from slurm.submission import submissions

STUDY = """\
description: runs for two arrays of the usual maximum size
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: linear, fold: all, seed: SEEDS}
"""
PROFILE = "{partition: gpu, gpus: 1, cpus: 1, mem_gb: 2, time: 30, sbatch: {hold: true}}\n"


def petl(*arguments: str | Path) -> float:
    command = [sys.executable, "-m", "petl.cli", *map(str, arguments)]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=Path.cwd(), timeout=600)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 runs")
    number = 100 if parser.parse_args().quick else 10_000
    if reason := why_unavailable():
        print(f"cannot run this benchmark: {reason}")
        return
    # munged requires that others can read every folder above its socket
    with (
        tempfile.TemporaryDirectory(prefix="petl-bench-") as folder,
        DevCluster(Path(tempfile.gettempdir()) / "petl-bench-cluster") as cluster,
    ):
        os.environ["SLURM_CONF"] = str(cluster.layout.slurm_conf)
        measure(number, Path(folder))


def measure(number: int, folder: Path) -> None:
    runs, profile, study = (folder / name for name in ("runs", "held.yaml", "many.yaml"))
    profile.write_text(PROFILE)
    study.write_text(STUDY.replace("SEEDS", str(list(range(number // 5)))))
    at = (study, "--runs", runs)
    print(f"{number:,} runs on a real Slurm")
    print(f"  submit          {petl('submit', *at, '--cluster', profile, '--yes'):6.1f} s")
    calls = sum(len(one.arrays) for one in submissions(runs / study.stem / "slurm"))
    print(f"  calls of sbatch {calls:6}")
    print(f"  status          {petl('status', *at):6.1f} s")
    print(f"  submit again    {petl('submit', *at, '--cluster', profile, '--yes'):6.1f} s")
    print(f"  cancel          {petl('cancel', *at, '--yes'):6.1f} s")
    print(f"  files           {sum(len(files) for _, _, files in os.walk(runs)):6}")


if __name__ == "__main__":
    main()

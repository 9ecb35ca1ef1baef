"""How many threads a run on this machine gets, and how they wait for each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from petl.config import Task
from petl.files import read_json

NARROW = 256
"""Up to this width of the layers, a second thread costs more than it computes."""


def variables(task: Task, workers: int, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: what is `given` stays, above all OMP_NUM_THREADS.

    Threads that have nothing to do sleep: by default they spin, and on busy cores the spinning
    takes the time of those that compute.
    """
    threads = given.get("OMP_NUM_THREADS") or str(1 if _is_small(task) else free() // workers or 1)
    chosen = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    return chosen | {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"} | dict(given)


def _is_small(task: Task) -> bool:
    source = task.backbone.source
    if source.startswith("builtin:"):
        return True
    shape = read_json(Path(source) / "config.json")
    width = shape.get("hidden_size") if isinstance(shape, dict) else None
    return isinstance(width, int) and width <= NARROW


def cpus() -> int:
    """Those this process may use: on a shared machine not all of them."""
    return len(os.sched_getaffinity(0))


def free() -> int:
    """The CPUs that nobody uses now, at least one."""
    mine = cpus() / (os.cpu_count() or 1)
    return max(1, cpus() - round(busy() * mine))


def busy() -> float:
    """Processes that compute now, and have for a while: the mean of a minute alone also counts
    those that have ended.
    """
    average = os.getloadavg()[0]
    try:
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return average
    return min(average, running - 1)  # this process runs too

"""The cluster's processes, found in /proc by a mark in their environment.

The process table is the only truth about what runs: a pid file can be missing, or outlive its
process and name somebody else's.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slurm.devcluster.layout import Layout

FOLDER_MARK, DAEMON_MARK = "PETL_DEVCLUSTER", "PETL_DEVCLUSTER_DAEMON"
JOB_MARK = "SLURM_CLUSTER_NAME"  # Slurm's own, in the environment of what its jobs start
NODE_MARKS = (DAEMON_MARK, "SLURMD_NODENAME")


@dataclass(frozen=True)
class Process:
    pid: int
    environment: dict[str, str]

    def is_daemon(self, name: str) -> bool:
        """Each leads a session of its own; what it starts inherits the mark but not that."""
        if self.environment.get(DAEMON_MARK) != name:
            return False
        with suppress(ProcessLookupError):
            return os.getsid(self.pid) == self.pid and "slurmstepd" not in _program(self.pid)
        return False


def of_cluster(layout: Layout) -> list[Process]:
    """Daemons, the shepherds of jobs, and the jobs themselves; never we nor those who called us."""
    return [
        process
        for process in _all_but(_lineage())
        if process.environment.get(JOB_MARK) == layout.name or _is_in(layout, process)
    ]


def _is_in(layout: Layout, process: Process) -> bool:
    """Its mark names this folder, and means this one: a container has a /tmp of its own."""
    if process.environment.get(FOLDER_MARK) != str(layout.folder):
        return False
    with suppress(OSError):
        return Path(f"/proc/{process.pid}/root{layout.layout_file}").samefile(layout.layout_file)
    return False


def daemon(layout: Layout, name: str) -> Process | None:
    return next((p for p in of_cluster(layout) if p.is_daemon(name)), None)


def kill_all(layout: Layout, limit_s: float, node: str | None = None) -> list[int]:
    """Kill all of the cluster's, or of one of its nodes', until nobody is left; who is left all
    the same is returned. No asking first: neither a plug that is pulled nor `down` asks."""
    end = time.monotonic() + limit_s
    while (alive := _living(layout, node)) and time.monotonic() < end:
        for process in alive:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)
    return [process.pid for process in alive]


def _living(layout: Layout, node: str | None) -> list[Process]:
    return [
        process
        for process in of_cluster(layout)
        if node is None or node in (process.environment.get(mark) for mark in NODE_MARKS)
    ]


def _all_but(spared: set[int]) -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in spared:
            with suppress(OSError):
                variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
                pairs = (variable.partition("=") for variable in variables)
                yield Process(int(entry.name), {key: value for key, _, value in pairs})


def _program(pid: int) -> str:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")[0].decode()
    return ""


def _lineage() -> set[int]:
    pid, lineage = os.getpid(), set()
    while pid > 0 and pid not in lineage:
        lineage.add(pid)
        pid = _parent(pid)
    return lineage


def _parent(pid: int) -> int:
    with suppress(OSError):
        stat = (Path("/proc") / str(pid) / "stat").read_text()
        return int(stat.rpartition(")")[2].split()[1])
    return 0

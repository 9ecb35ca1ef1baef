"""The cluster's processes, found in /proc by a mark in their environment.

Only the process table tells what runs: a pid file can be missing, or outlive its process and then
name somebody else's.
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
JOB_MARK = "SLURM_CLUSTER_NAME"  # Slurm's own, in the environment of every job
NODE_MARKS = (DAEMON_MARK, "SLURMD_NODENAME")


@dataclass(frozen=True)
class Process:
    pid: int
    environment: dict[str, str]

    def is_daemon(self, name: str) -> bool:
        """A daemon leads a session of its own. What it starts inherits the mark, but not that; only
        slurmstepd leads one too."""
        if self.environment.get(DAEMON_MARK) != name:
            return False
        with suppress(OSError):
            program = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")[0]
            return os.getsid(self.pid) == self.pid and b"slurmstepd" not in program
        return False


def cluster_processes(layout: Layout, node: str | None = None) -> list[Process]:
    """Daemons, slurmstepds and jobs, of all or of one node; never this process or its parents."""
    ours = [
        process
        for process in _processes(without=_ancestors())
        if process.environment.get(JOB_MARK) == layout.name or _has_mark(process, layout)
    ]
    if node is None:
        return ours
    return [p for p in ours if node in (p.environment.get(mark) for mark in NODE_MARKS)]


def _has_mark(process: Process, layout: Layout) -> bool:
    """The same path can be another folder inside a container, so compare the files themselves."""
    if process.environment.get(FOLDER_MARK) != str(layout.folder):
        return False
    with suppress(OSError):
        return Path(f"/proc/{process.pid}/root{layout.file}").samefile(layout.file)
    return False


def find_daemon(layout: Layout, name: str) -> Process | None:
    return next((p for p in cluster_processes(layout) if p.is_daemon(name)), None)


def kill_all(layout: Layout, limit_s: float, node: str | None = None) -> list[int]:
    """SIGKILL until no process of the cluster, or of one node, is left; the pids that survive.

    It looks again and again, because what is just about to be killed can start another process.
    """
    end = time.monotonic() + limit_s
    while (alive := cluster_processes(layout, node)) and time.monotonic() < end:
        for process in alive:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)
    return [process.pid for process in alive]


def _processes(without: set[int]) -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in without:
            with suppress(OSError):
                variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
                pairs = (variable.partition("=") for variable in variables)
                yield Process(int(entry.name), {key: value for key, _, value in pairs})


def _ancestors() -> set[int]:
    """This process, its parent, and so on up to init."""
    pid, known = os.getpid(), set[int]()
    while pid > 0:
        known.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])  # the fields after `(name)`: state, parent
    return known

"""What happens to jobs on a cluster, done on purpose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from petl.runs.claim import holder
from petl.runs.directory import RunDir
from slurm.devcluster import DevCluster
from slurm.scheduler import Job

AWAY_S = 4.0
"""So long a node is away, and the accounting twice as long."""
PATIENCE_S = 5.0
"""scancel asks again and again where a job is just coming or going."""


@dataclass(frozen=True)
class Victim:
    """A run and the job that does it just now."""

    run_id: str
    label: str
    run: RunDir
    job: Job

    def process(self) -> int:
        held = holder(self.run.claim_file)
        if held is None:
            raise ProcessLookupError(f"nobody works on {self.label}")
        return int(held["pid"])

    def __str__(self) -> str:
        return f"{self.label} in epoch {self.run.state().epoch + 1}"


class Repair(NamedTuple):
    at: float
    what: str
    do: Callable[[], None]


Happens = Callable[[DevCluster, Victim], "Repair | None"]


class Trouble(NamedTuple):
    what: str
    happens: Happens
    hits: str = "job"
    """Its job alone, all on its `node`, or the `cluster`."""

    def hit(self, victim: Victim, running: Sequence[Victim]) -> list[Victim]:
        """Those that may feel it, the chosen one first."""
        if self.hits != "node":
            return [victim] if self.hits == "job" else []
        others = [v for v in running if v.job.node == victim.job.node and v is not victim]
        return [victim, *others]


def told(cluster: DevCluster, victim: Victim) -> None:
    """As `--signal=USR2@...` has it done: to the step, which a job that has just begun lacks."""
    cluster.run("scancel", "--signal=USR2", f"{victim.job.id}.0", timeout_s=PATIENCE_S)


def preempted(cluster: DevCluster, victim: Victim) -> None:
    """By a job that wants all GPUs of its node."""
    where = ("--partition=urgent", f"--nodelist={victim.job.node}", "--gres=gpu:2")
    cluster.run("sbatch", *where, "--output=/dev/null", "--wrap=srun sleep 1")


def cancelled(cluster: DevCluster, victim: Victim) -> None:
    cluster.run("scancel", victim.job.id, timeout_s=PATIENCE_S)


def killed(cluster: DevCluster, victim: Victim) -> None:
    os.kill(victim.process(), signal.SIGKILL)


def requeued(cluster: DevCluster, victim: Victim) -> None:
    cluster.run("scontrol", "requeue", victim.job.id)


def too_slow(cluster: DevCluster, victim: Victim) -> None:
    """It stands still, as before a dead file server, until its time is up."""
    process, soon = victim.process(), datetime.now() + timedelta(seconds=2)
    cluster.run("scontrol", "update", f"JobId={victim.job.id}", f"EndTime={soon:%FT%T}")
    os.kill(process, signal.SIGSTOP)


def node_down(cluster: DevCluster, victim: Victim) -> Repair:
    node = victim.job.node
    cluster.node_down(node)
    return Repair(time.monotonic() + AWAY_S, f"{node} is back", lambda: cluster.node_up(node))


def controller_restarted(cluster: DevCluster, victim: Victim) -> None:
    cluster.restart("slurmctld")


def slurmd_restarted(cluster: DevCluster, victim: Victim) -> None:
    cluster.restart(victim.job.node)


def accounting_stopped(cluster: DevCluster, victim: Victim) -> Repair:
    cluster.kill_daemon("slurmdbd", signal.SIGTERM)
    at = time.monotonic() + 2 * AWAY_S
    return Repair(at, "slurmdbd is back", lambda: cluster.start_daemon("slurmdbd"))


TROUBLES = (
    Trouble("signal before the time limit", told),
    Trouble("preempted", preempted, "node"),
    Trouble("scancel", cancelled),
    Trouble("Python killed", killed),
    Trouble("scontrol requeue", requeued),
    Trouble("hangs until its time is up", too_slow),
    Trouble("node down", node_down, "node"),
    Trouble("slurmd restarted", slurmd_restarted, "node"),
    Trouble("slurmctld restarted", controller_restarted, "cluster"),
    Trouble("slurmdbd stopped", accounting_stopped, "cluster"),
)

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
"""How long a node stays down. The accounting stays down twice as long."""
SCANCEL_S = 5.0
"""scancel retries for long when a job is just starting or ending."""


@dataclass(frozen=True)
class Victim:
    """A run and the job that does it at this moment."""

    run_id: str
    label: str
    run: RunDir
    job: Job

    def process(self) -> int:
        held = holder(self.run.claim_file)
        if held is None:
            raise ProcessLookupError(f"no process works on {self.label}")
        return int(held["pid"])

    def __str__(self) -> str:
        return f"{self.label} in epoch {self.run.state().epoch + 1}"


class Repair(NamedTuple):
    at: float
    what: str
    do: Callable[[], None]


class Trouble(NamedTuple):
    what: str
    cause: Callable[[DevCluster, Victim], Repair | None]
    hits: str = "job"
    """One `job`, all jobs of its `node`, or the `cluster`."""

    def hit(self, victim: Victim, running: Sequence[Victim]) -> list[Victim]:
        """The runs that this may disturb, the chosen one first."""
        if self.hits != "node":
            return [victim] if self.hits == "job" else []
        others = [v for v in running if v.job.node == victim.job.node and v is not victim]
        return [victim, *others]


def signal_before_time_limit(cluster: DevCluster, victim: Victim) -> None:
    """As `--signal=USR2@...` does it: to the step (.0), which a job that just started lacks."""
    cluster.run("scancel", "--signal=USR2", f"{victim.job.id}.0", timeout_s=SCANCEL_S)


def preempt(cluster: DevCluster, victim: Victim) -> None:
    """A job of higher priority wants all GPUs of the node."""
    where = ("--partition=urgent", f"--nodelist={victim.job.node}", "--gres=gpu:2")
    cluster.run("sbatch", *where, "--output=/dev/null", "--wrap=srun sleep 1")


def cancel(cluster: DevCluster, victim: Victim) -> None:
    cluster.run("scancel", victim.job.id, timeout_s=SCANCEL_S)


def kill_python(cluster: DevCluster, victim: Victim) -> None:
    os.kill(victim.process(), signal.SIGKILL)


def requeue(cluster: DevCluster, victim: Victim) -> None:
    cluster.run("scontrol", "requeue", victim.job.id)


def hang(cluster: DevCluster, victim: Victim) -> None:
    """The run stands still, as on a dead file server, until its time limit."""
    process, soon = victim.process(), datetime.now() + timedelta(seconds=2)
    cluster.run("scontrol", "update", f"JobId={victim.job.id}", f"EndTime={soon:%FT%T}")
    os.kill(process, signal.SIGSTOP)


def node_down(cluster: DevCluster, victim: Victim) -> Repair:
    node = victim.job.node
    cluster.node_down(node)
    return Repair(time.monotonic() + AWAY_S, f"{node} is back", lambda: cluster.node_up(node))


def restart_controller(cluster: DevCluster, victim: Victim) -> None:
    cluster.restart("slurmctld")


def restart_slurmd(cluster: DevCluster, victim: Victim) -> None:
    cluster.restart(victim.job.node)


def stop_accounting(cluster: DevCluster, victim: Victim) -> Repair:
    cluster.kill_daemon("slurmdbd", signal.SIGTERM)
    at = time.monotonic() + 2 * AWAY_S
    return Repair(at, "slurmdbd is back", lambda: cluster.start_daemon("slurmdbd"))


TROUBLES = (
    Trouble("signal before the time limit", signal_before_time_limit),
    Trouble("preempted", preempt, "node"),
    Trouble("scancel", cancel),
    Trouble("Python killed", kill_python),
    Trouble("scontrol requeue", requeue),
    Trouble("hangs until its time limit", hang),
    Trouble("node down", node_down, "node"),
    Trouble("slurmd restarted", restart_slurmd, "node"),
    Trouble("slurmctld restarted", restart_controller, "cluster"),
    Trouble("slurmdbd stopped", stop_accounting, "cluster"),
)

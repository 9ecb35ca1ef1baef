"""`petl retry --silent`: start runs again whose workers give no sign of life."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from petl.errors import several
from petl.places import Places
from petl.terminal import agrees, console
from slurm.scheduler import SlurmTrouble, run
from slurm.status.plan import Item, Plan
from slurm.status.view import line
from slurm.submit import control
from slurm.submit.here import run_here
from slurm.submit.policy import freed
from slurm.submit.sbatch import Cluster
from slurm.submit.to_cluster import submit_to


def retry_silent(
    plan: Plan,
    items: Sequence[Item],
    places: Places,
    cluster: Callable[[], Cluster] | None,
    *,
    ask: bool,
) -> None:
    """`cluster` is where runs go that have no job to requeue; without it, to this machine."""
    screen, silent = console(), [item for item in items if item.kind == "silent"]
    if not silent:
        screen.print(f"{plan.study.path}: no run is silent", soft_wrap=True)
        return
    screen.print(*map(line, silent), sep="\n", soft_wrap=True)
    if others := control.along(plan, silent, control.jobs_of(plan, silent)):
        screen.print(f"their jobs are shared with {several(len(others), 'other run')}")
    if ask and not agrees(f"Start {several(len(silent), 'run')} again?"):
        return
    rest = _requeue(plan, silent)
    if len(silent) > len(rest):
        screen.print(f"requeued {several(len(silent) - len(rest), 'run')}")
    ids = {item.task.run_id for item in rest}
    if rest and cluster:
        submit_to(cluster(), plan.study, partial(freed, runs=ids), yes=True)
    elif rest:
        run_here(plan, rest, None, places)


def _requeue(plan: Plan, silent: Sequence[Item]) -> list[Item]:
    """Take the runs from their workers and requeue their jobs. A worker that wakes up leaves.

    Returned are the runs without a job that can be requeued.
    """
    rest = [item for item in silent if not control.jobs_of(plan, [item])]
    for item in silent:
        item.run.revoke()
    for job in control.jobs_of(plan, silent):
        try:
            run(["scontrol", "requeue", job])
        except SlurmTrouble:  # it was submitted with --no-requeue, or has just ended
            control.cancel(plan, [job])
            rest += [item for item in silent if job in control.jobs_of(plan, [item])]
    return rest

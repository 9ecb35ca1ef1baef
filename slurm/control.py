"""What a person may do to jobs that are in the queue already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from petl.files import append_json_line
from slurm.plan import Item, Plan
from slurm.scheduler import Job, SlurmTrouble, run

AT_ONCE = 500
"""Arguments of one call."""


def jobs_of(plan: Plan, items: Iterable[Item]) -> dict[str, Job]:
    """The jobs that are to do these runs, by their id; several runs may share one."""
    places = [item.place for item in items if item.tries]
    found = [plan.queue.jobs[place] for place in places if place in plan.queue.jobs]
    return {job.id: job for job in found}


def along(plan: Plan, items: Sequence[Item], jobs: Iterable[str]) -> list[Item]:
    """Unfinished runs that share a job with these."""
    ids, chosen = set(jobs), {item.task.run_id for item in items}
    return [
        item
        for item in plan.items
        if item.kind != "done"
        and item.task.run_id not in chosen
        and ids & jobs_of(plan, [item]).keys()
    ]


def cancel(plan: Plan, jobs: Iterable[str]) -> None:
    """Cancelled jobs write their checkpoints and do not come back by themselves."""
    jobs = set(jobs)
    last = [item.tries[-1].submission for item in plan.items if item.tries]
    for submission in {submission.folder: submission for submission in last}.values():
        arrays = set(submission.arrays.values())
        if mine := sorted(job for job in jobs if job.partition("_")[0] in arrays):
            append_json_line(submission.cancelled_file, {"jobs": mine})
    targets = _whole_arrays(plan, jobs)
    for first in range(0, len(targets), AT_ONCE):
        run(["scancel", *targets[first : first + AT_ONCE]])


def held(plan: Plan, items: Iterable[Item]) -> list[Item]:
    jobs = plan.queue.jobs
    return [
        item
        for item in items
        if item.kind == "pending" and item.place in jobs and "Held" in jobs[item.place].reason
    ]


def release(plan: Plan, items: Sequence[Item]) -> None:
    """Let held jobs go on, and forget the failures for which they were held."""
    for submission in {item.tries[-1].submission.folder for item in items}:
        for mark in submission.glob("failed-*"):
            mark.unlink(missing_ok=True)
    for job in sorted(_whole_arrays(plan, set(jobs_of(plan, items)))):
        with suppress(SlurmTrouble):  # it may have started meanwhile
            run(["scontrol", "release", job])


def _whole_arrays(plan: Plan, jobs: set[str]) -> list[str]:
    """An array of which nothing is to be spared goes by its own number: one call for thousands."""
    spared = {job.id.partition("_")[0] for job in plan.queue.jobs.values() if job.id not in jobs}
    return sorted({job if (array := job.partition("_")[0]) in spared else array for job in jobs})

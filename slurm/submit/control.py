"""What a person may do to jobs that are in the queue already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from petl.files import append_json_line
from slurm.scheduler import Job, SlurmTrouble, ranges, run
from slurm.status.plan import Item, Plan


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
    if targets := _by_array(plan, jobs):
        run(["scancel", *targets])


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
    for jobs in _by_array(plan, set(jobs_of(plan, items))):
        with suppress(SlurmTrouble):  # some may have started meanwhile
            run(["scontrol", "release", jobs])


def _by_array(plan: Plan, jobs: set[str]) -> list[str]:
    """`12_[0-499,501]`, or `12` where nothing is to be spared: few words for many jobs."""
    spared = {job.id.partition("_")[0] for job in plan.queue.jobs.values() if job.id not in jobs}
    elements: dict[str, list[int]] = {}
    for array, _, element in (job.partition("_") for job in jobs):
        elements.setdefault(array, []).append(int(element))
    return [
        f"{array}_[{ranges(chosen)}]" if array in spared else array
        for array, chosen in sorted(elements.items())
    ]

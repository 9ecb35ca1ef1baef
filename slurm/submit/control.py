"""Cancel and release jobs that are in the queue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from petl.errors import UserError
from petl.files import append_json_line
from slurm.scheduler import Job, SlurmTrouble, ask, ranges, run
from slurm.status.plan import Item, Plan
from slurm.status.state import LAUNCH_FAILED


def jobs_of(plan: Plan, items: Iterable[Item]) -> dict[str, Job]:
    """The queued or running jobs of these runs, by their id; several runs may share one."""
    tasks = [item.attempts[-1].array_task for item in items if item.attempts]
    jobs = [plan.queue.jobs[task] for task in tasks if task in plan.queue.jobs]
    return {job.id: job for job in jobs}


def along(plan: Plan, items: Sequence[Item], jobs: Iterable[str]) -> list[Item]:
    """Unfinished runs that share a job with these."""
    ids, chosen = set(jobs), {item.task.run_id for item in items}
    others = [item for item in plan.items if item.kind != "done"]
    return [
        item
        for item in others
        if item.task.run_id not in chosen and ids & jobs_of(plan, [item]).keys()
    ]


def cancel(plan: Plan, jobs: Iterable[str]) -> None:
    """Cancelled jobs write their checkpoints and are not requeued."""
    jobs = set(jobs)
    last = [item.attempts[-1].submission for item in plan.items if item.attempts]
    for submission in {submission.folder: submission for submission in last}.values():
        arrays = set(submission.job_numbers.values())
        if mine := sorted(job for job in jobs if job.partition("_")[0] in arrays):
            with suppress(OSError, UserError):  # cancelling needs no room on the disk
                append_json_line(submission.cancelled_file, {"jobs": mine})
    if targets := _by_array(plan, jobs):
        run(["scancel", *targets])


def held(plan: Plan, items: Iterable[Item]) -> list[Item]:
    return [
        item
        for item in items
        if item.kind == "pending"
        and any("held" in job.reason.lower() for job in jobs_of(plan, [item]).values())
    ]


def release(plan: Plan, items: Sequence[Item]) -> set[str]:
    """Release held jobs, and forget the failures for which they were held.

    Jobs that a node could not start go elsewhere: returned are the nodes that they avoid now.
    """
    for folder in {item.attempts[-1].submission.folder for item in items}:
        for mark in folder.glob("failed-*"):
            mark.unlink(missing_ok=True)
    launched = {id for id, job in jobs_of(plan, items).items() if job.reason == LAUNCH_FAILED}
    avoided = set[str]()
    for jobs in _by_array(plan, launched):
        with suppress(SlurmTrouble):  # without accounting nobody knows the node
            avoided |= _avoid(jobs)
    for jobs in _by_array(plan, set(jobs_of(plan, items))):
        with suppress(SlurmTrouble):  # some may have started meanwhile
            run(["scontrol", "release", jobs])
    return avoided


def _avoid(jobs: str) -> set[str]:
    """Exclude the nodes from which these jobs were requeued, beside what was excluded before."""
    rows = ask(["sacct", "-n", "-P", "-X", "-D", f"--jobs={jobs}", "--format=State,NodeList"])
    nodes = {row.partition("|")[2] for row in rows.splitlines() if row.startswith("REQUEUED|")}
    if nodes:
        shown = ask(["scontrol", "--oneliner", "show", "job", jobs])
        before = set(re.findall(r"ExcNodeList=([^\s(]+)", shown))
        exclude = ",".join(sorted(nodes | before))
        run(["scontrol", "update", f"JobId={jobs}", f"ExcNodeList={exclude}"])
    return nodes


def _by_array(plan: Plan, jobs: set[str]) -> list[str]:
    """`12_[0-499,501]`, or `12` for a whole array: a command line has room for many jobs."""
    spared = {job.array for job in plan.queue.jobs.values() if job.id not in jobs}
    task_ids: dict[str, list[int]] = {}
    for array, _, task_id in (job.partition("_") for job in jobs):
        task_ids.setdefault(array, []).append(int(task_id))
    return [
        f"{array}_[{ranges(chosen)}]" if array in spared else array
        for array, chosen in sorted(task_ids.items())
    ]

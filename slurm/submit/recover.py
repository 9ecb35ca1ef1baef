"""One submitter at a time, and what a submitter that died has left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from petl.errors import UserError, reason
from petl.runs.claim import Claim, RunIsTaken, holder
from slurm.scheduler import accounted, queued
from slurm.submission import has_record, submissions

POLL_S = 0.5


@contextmanager
def alone(folder: Path, tell: Callable[[str], None]) -> Iterator[Claim]:
    """Wait until nobody else submits this study.

    The lock is a file made by link(2), which fails if the file exists and works on NFS. One whose
    process has died is taken over (petl.runs.claim).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None
    claim = Claim(folder / "submit.json")
    while True:
        try:
            claim.__enter__()
            break
        except RunIsTaken:
            if who := holder(claim.path):
                tell(f"waiting for process {who['pid']} on {who['host']}, which is submitting")
            time.sleep(POLL_S)
    try:
        yield claim
    finally:
        claim.__exit__(None, None, None)


def recover(folder: Path) -> None:
    """Adopt or abandon each array of which nobody knows whether Slurm has accepted it.

    A submitter writes the record, calls sbatch, writes the number. Killed between the first and the
    last, it leaves an array without a number. Every array has a name of its own, so ask Slurm:
    - squeue or sacct know the name: sbatch had succeeded. Adopt it: write its number.
    - they do not: write that it is abandoned, and its runs are submitted anew. If that sbatch is
      still under way and its array turns up after all, its jobs read arrays.jsonl first and exit.
    Only the lock's holder may do this: the number of a live submitter's array is about to come.
    """
    for path in folder.iterdir():  # without a record, sbatch was never called
        if path.is_dir() and not has_record(path):
            shutil.rmtree(path, ignore_errors=True)
    unknown = [
        (submission, chunk)
        for submission in submissions(folder)
        for chunk in submission.chunks
        if chunk not in submission.arrays
    ]
    if not unknown:
        return
    names = [submission.name(chunk) for submission, chunk in unknown]
    queue = queued(names)
    if queue.trouble:
        raise UserError(
            "an earlier submit was interrupted, and Slurm does not say whether its jobs are "
            f"queued: {queue.trouble}; try again later"
        )
    since = min(submission.record.when for submission, _ in unknown)
    known = {**accounted(names, since).jobs, **queue.ended, **queue.jobs}
    numbers = {task.array: job.array for task, job in known.items()}
    for submission, chunk in unknown:
        with suppress(UserError):  # what is no regular file is left, and the plan names it
            submission.note(chunk, numbers.get(submission.name(chunk)))

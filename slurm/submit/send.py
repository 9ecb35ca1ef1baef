"""From runs that are to be done to arrays in the queue, once each, whoever dies when.

One submitter at a time; it writes what it intends, asks, and writes the number it was given. A
later one finds what an earlier one left half done: an array that the scheduler knows is adopted,
one that it does not know is given up for good.
"""

from __future__ import annotations

import getpass
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from submitit.core.utils import DelayedSubmission

from petl.config.options import Options
from petl.errors import UserError, reason
from petl.files import write_atomic
from petl.places import Places
from petl.runs.claim import Claim, RunIsTaken, holder
from slurm.node.element import run_element
from slurm.node.worker import write_manifest
from slurm.scheduler import SlurmTrouble, accounted, max_array_size, queued, run
from slurm.status.plan import Item, Plan
from slurm.submission import Intention, Submission, submissions, undeclared
from slurm.submit.profile import Profile
from slurm.submit.script import Array, job_script
from slurm.submit.throttle import shares

POLL_S = 0.5
Tell = Callable[[str], None]


class Batch(NamedTuple):
    """What becomes one submission: all its jobs ask for the same."""

    items: Sequence[Item]
    mem_gb: float


class Cluster(NamedTuple):
    """Where and how."""

    name: str
    profile: Profile
    places: Places
    options: Options


def submit(
    plan: Callable[[], Plan],
    wanted: Callable[[Plan], Sequence[Batch]],
    cluster: Cluster,
    tell: Tell = lambda remark: None,
) -> list[Submission]:
    """What is wanted is asked again when nobody else is submitting: much may have changed."""
    folder = plan().jobs
    with alone(folder, tell) as lock:
        recover(folder)
        now = plan()
        if now.trouble and any(item.kind == "unknown" for item in now.items):
            raise UserError(f"what is queued is not known: {now.trouble}; try again later")
        made, queue = [], now.in_queue()
        for batch in wanted(now):
            if batch.items:
                submission = prepare(now, batch, cluster)
                send(submission, cluster, queue, lock)
                made.append(submission)
                sent = submission.arrays.items()
                queue.update({job: submission.elements(chunk) for chunk, job in sent if job})
        return made


@contextmanager
def alone(folder: Path, tell: Tell) -> Iterator[Claim]:
    """Wait until nobody else submits this study."""
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
            who = holder(claim.path)
            if who:
                tell(f"waiting for process {who['pid']} on {who['host']}, which is submitting")
            time.sleep(POLL_S)
    try:
        yield claim
    finally:
        claim.__exit__(None, None, None)


# --- one submission -------------------------------------------------------------------------------


def intend(plan: Plan, batch: Batch, cluster: Cluster) -> Submission:
    """What would be submitted, in memory only."""
    profile = cluster.profile
    said = Intention(
        study=str(plan.study.path.absolute()),
        cluster=cluster.name,
        user=getpass.getuser(),
        host=socket.gethostname(),
        when=time.time(),
        mem_gb=batch.mem_gb,
        gpus=profile.gpus,
        per_job=profile.tasks_per_job,
        per_array=profile.max_array_size or max_array_size(),
        side_by_side=profile.side_by_side,
        fruitless_requeues=profile.fruitless_requeues,
        hold_after=profile.hold_after,
        runs=tuple(item.task.run_id for item in batch.items),
    )
    return Submission.new(plan.jobs, said)


def prepare(plan: Plan, batch: Batch, cluster: Cluster) -> Submission:
    """Everything that its jobs will read, and last of all that it is meant."""
    submission = intend(plan, batch, cluster)
    submission.folder.mkdir(parents=True)
    for place in vars(cluster.places).values():  # a container can bind only what is there
        place.mkdir(parents=True, exist_ok=True)
    tasks = [item.task for item in batch.items]
    write_manifest(submission.manifest, tasks, cluster.places, cluster.options)
    for chunk in range(submission.chunks):
        call = DelayedSubmission(run_element, str(submission.manifest), chunk)
        call.dump(submission.pickle(chunk))
    submission.declare()
    return submission


def arrays(
    submission: Submission, cluster: Cluster, queue: Mapping[str, int] | None = None
) -> list[Array]:
    """Its arrays, which share the throttle with those in the queue, each with so many jobs left."""
    queue = queue or {}
    sizes = [submission.elements(chunk) for chunk in range(submission.chunks)]
    given = shares(cluster.profile.throttle, [*queue.values(), *sizes])[len(queue) :]
    names = [*queue, *submission.names]
    return [
        Array(
            name=submission.name(chunk),
            elements=sizes[chunk],
            at_a_time=share.at_a_time,
            mem_gb=submission.said.mem_gb,
            pickle=submission.pickle(chunk),
            places=cluster.places,
            follows=None if share.follows is None else names[share.follows],
        )
        for chunk, share in enumerate(given)
    ]


def send(submission: Submission, cluster: Cluster, queue: Mapping[str, int], lock: Claim) -> None:
    throttle, over = cluster.profile.throttle, ""
    if throttle is not None and queue:
        over = ":".join(_make_room(throttle, queue, submission))
    jobs = {name: name for name in queue}
    for chunk, array in enumerate(arrays(submission, cluster, queue)):
        lock.touch()
        script = submission.script(chunk)
        write_atomic(script, job_script(cluster.profile, array).encode())
        before = jobs[array.follows] if array.follows else over
        after = [f"--dependency=afterany:{before}"] if before else []
        try:
            told = run(["sbatch", "--parsable", *after, str(script)])
        except SlurmTrouble as trouble:
            recover(submission.folder.parent)  # it may have been accepted all the same
            raise UserError(_refused(trouble, submission)) from None
        jobs[array.name] = told.strip().partition(";")[0]
        submission.note(chunk, jobs[array.name])


def _make_room(throttle: int, queue: Mapping[str, int], submission: Submission) -> list[str]:
    """Arrays that have the throttle for themselves give part of it to the new ones.

    Those of their jobs that run already are too many by these, for whose end the new ones wait.
    """
    sizes = [submission.elements(chunk) for chunk in range(submission.chunks)]
    given = dict(zip(queue, shares(throttle, [*queue.values(), *sizes]), strict=False))
    for array, share in given.items():
        with suppress(SlurmTrouble):  # another's, or just over
            run(["scontrol", "update", f"JobId={array}", f"ArrayTaskThrottle={share.at_a_time}"])
    told = run(["squeue", "--noheader", "--array", "--states=RUNNING", "--format=%F_%K"])
    running = set(told.split())
    over = []
    for array, share in given.items():
        mine = sorted(job for job in running if job.startswith(f"{array}_"))
        over += mine[: max(0, len(mine) - share.at_a_time)]
    return over


def _refused(trouble: SlurmTrouble, submission: Submission) -> str:
    have = Submission.read(submission.folder).arrays.values()
    queued = sum(job is not None for job in have)
    rest = f"; {queued} of {submission.chunks} arrays are in the queue" if queued else ""
    return f"{trouble}{rest}"


# --- what others have left ------------------------------------------------------------------------


def recover(folder: Path) -> None:
    """Adopt or give up each array of which nobody knows whether it was accepted."""
    for path in undeclared(folder):
        shutil.rmtree(path, ignore_errors=True)
    open_ends = [
        (submission, chunk)
        for submission in submissions(folder)
        for chunk in range(submission.chunks)
        if chunk not in submission.arrays
    ]
    if not open_ends:
        return
    names = [submission.name(chunk) for submission, chunk in open_ends]
    queue = queued(names)
    if queue.trouble:
        raise UserError(
            "an earlier submit was cut short, and whether its jobs are queued is not known: "
            f"{queue.trouble}"
        )
    since = min(submission.said.when for submission, _ in open_ends)
    known = {**accounted(names, since).jobs, **queue.ended, **queue.jobs}
    jobs = {place.array: job.id.partition("_")[0] for place, job in known.items()}
    for submission, chunk in open_ends:
        submission.note(chunk, jobs.get(submission.name(chunk)))

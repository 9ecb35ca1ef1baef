"""From runs to arrays in Slurm's queue: write a submission down, then call sbatch."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import NamedTuple

from petl.config.options import Options
from petl.errors import UserError, several
from petl.files import write_atomic
from petl.places import Places
from petl.runs.claim import Claim
from petl.runs.code.archive import CodeArchive
from slurm.call import python_arguments
from slurm.manifest import write_manifest
from slurm.record import Record
from slurm.scheduler import NotInstalled, SlurmTrouble, ask, max_array_size, run
from slurm.status.plan import Item, Plan
from slurm.submission import Submission
from slurm.submit.container import runs_same_python
from slurm.submit.profile import Profile
from slurm.submit.recover import recover
from slurm.submit.script import Array, job_script
from slurm.submit.throttle import shares


class Batch(NamedTuple):
    """What becomes one submission: all its jobs ask for the same."""

    items: Sequence[Item]
    mem_gb: float


class Cluster(NamedTuple):
    """Where and how to submit."""

    name: str
    profile: Profile
    places: Places
    options: Options
    code: CodeArchive | None = None
    """What jobs import; None for the checkout as it is when a job starts, or for the image's."""


def submit(plan: Plan, batches: Sequence[Batch], cluster: Cluster, lock: Claim) -> list[Submission]:
    """For the lock's holder, with a plan made under the lock."""
    if plan.trouble and any(item.kind == "unknown" for item in plan.items):
        raise UserError(f"what is queued is not known: {plan.trouble}; try again later")
    submitted, queue = [], plan.in_queue()
    for batch in batches:
        submission = prepare(plan, batch, cluster)
        _send(submission, cluster, queue, lock)
        submitted.append(submission)
        for chunk, job in submission.job_numbers.items():
            queue[job] = submission.size(chunk)
    return submitted


def intended(plan: Plan, batch: Batch, cluster: Cluster) -> Submission:
    """What would be submitted, in memory only."""
    profile = cluster.profile
    record = Record(
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
        code=cluster.code and cluster.code.code,
    )
    return Submission.new(plan.slurm_folder, record)


def prepare(plan: Plan, batch: Batch, cluster: Cluster) -> Submission:
    """All that its jobs will read, and last of all its record."""
    submission = intended(plan, batch, cluster)
    submission.folder.mkdir(parents=True)
    for folder in vars(cluster.places).values():  # a container can bind only what exists
        folder.mkdir(parents=True, exist_ok=True)
    tasks = [item.task for item in batch.items]
    record = asdict(submission.record)
    write_manifest(submission.manifest, tasks, cluster.options, record=record)
    if cluster.code:
        cluster.code.keep(cluster.places.runs)
    submission.write()
    return submission


def arrays(
    submission: Submission, cluster: Cluster, queue: Mapping[str, int] | None = None
) -> list[Array]:
    """Its arrays, which share the throttle with those in the queue, given by number and size."""
    queue = queue or {}
    sizes = [submission.size(chunk) for chunk in submission.chunks]
    given = shares(cluster.profile.throttle, [*queue.values(), *sizes])[len(queue) :]
    names = [*queue, *submission.names]
    frozen = cluster.code and cluster.code.at(cluster.places.runs)
    return [
        Array(
            name=submission.name(chunk),
            size=sizes[chunk],
            at_a_time=share.at_a_time,
            mem_gb=submission.record.mem_gb,
            folder=submission.folder,
            call=python_arguments(
                "slurm.node.job:array_job",
                *(submission.manifest, chunk, cluster.places.data, cluster.places.cache),
                same=runs_same_python(cluster.profile),
                frozen=frozen,
            ),
            places=cluster.places,
            follows=None if share.follows is None else names[share.follows],
        )
        for chunk, share in enumerate(given)
    ]


def _send(submission: Submission, cluster: Cluster, queue: Mapping[str, int], lock: Claim) -> None:
    throttle, surplus = cluster.profile.throttle, ""
    if throttle is not None and queue:
        surplus = ":".join(_make_room(throttle, queue, submission))
    jobs = {number: number for number in queue}
    for chunk, array in enumerate(arrays(submission, cluster, queue)):
        lock.touch()
        script = job_script(cluster.profile, array)
        # for people only: sbatch reads the text, and Slurm keeps a copy of its own
        write_atomic(submission.script(chunk), script.encode(), mode=0o600)
        before = jobs[array.follows] if array.follows else surplus
        after = [f"--dependency=afterany:{before}"] if before else []
        # Killed between these two lines, the array is in the queue and nobody has its number: the
        # next submit finds it by its name (recover). So the record had to be written before.
        try:
            output = run(["sbatch", "--parsable", *after], text=script)
        except NotInstalled as trouble:
            for left in submission.chunks[chunk:]:
                submission.note(left, None)
            raise UserError(f"{trouble}: submit from a login node; --local runs here") from None
        except SlurmTrouble as trouble:
            recover(submission.folder.parent)  # a timeout may hide that the array was accepted
            raise UserError(_refused(trouble, submission)) from None
        jobs[array.name] = output.strip().partition(";")[0]
        submission.note(chunk, jobs[array.name])


def _make_room(throttle: int, queue: Mapping[str, int], submission: Submission) -> list[str]:
    """Lower the throttles of the arrays in the queue, so that old and new keep to it together.

    That does not stop jobs that run already. Say the throttle is 8 and one array has 8 running: its
    share becomes 4, and 4 new ones at once would make 12. So the new arrays depend on the surplus:
    the jobs that run beyond their array's new share, which are returned.
    """
    sizes = [submission.size(chunk) for chunk in submission.chunks]
    given = dict(zip(queue, shares(throttle, [*queue.values(), *sizes]), strict=False))
    for array, share in given.items():
        with suppress(SlurmTrouble):  # it is another user's, or has just ended
            run(["scontrol", "update", f"JobId={array}", f"ArrayTaskThrottle={share.at_a_time}"])
    output = ask(["squeue", "--noheader", "--array", "--states=RUNNING", "--format=%F_%K"])
    running = set(output.split())
    surplus = []
    for array, share in given.items():
        mine = sorted(job for job in running if job.startswith(f"{array}_"))
        surplus += mine[: max(0, len(mine) - share.at_a_time)]
    return surplus


def _refused(trouble: SlurmTrouble, submission: Submission) -> str:
    queued = len(Submission.read(submission.folder).job_numbers)
    of_all = f"{queued} of {several(len(submission.chunks), 'array')} in the queue"
    return f"{trouble}; {of_all}" if queued else str(trouble)

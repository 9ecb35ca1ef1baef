"""The state of a run, from three sources: its directory, the scheduler, and its own heartbeat.

result.json alone decides success. No source alone decides that a run is dead: it is lost only when
the scheduler no longer has it and it has given no sign of life.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Literal

from petl.errors import several
from petl.files import read_regular
from petl.runs.claim import LATE_S, SILENT_S, Silence, clock, holder, is_alive
from petl.runs.directory import RunDir
from slurm.exits import FAULTS, INTERRUPTED
from slurm.format import duration
from slurm.requeues import Requeues
from slurm.scheduler import Answer, Job
from slurm.submission import Attempt

Kind = Literal[
    "done", "running", "silent", "pending", "failed", "stopped", "lost", "unknown", "waiting"
]
"""`silent`: no sign of life; `pending` in the queue; `waiting` to be submitted."""


@dataclass(frozen=True)
class RunState:
    """`reason` is for people; slurm.submit.policy decides by `cause`, the class of the end."""

    kind: Kind
    reason: str = ""
    epoch: int = 0
    cause: str = ""


ENDS: dict[str, tuple[Kind, str, str]] = {
    "OUT_OF_MEMORY": ("failed", "host-memory", "out of memory (of the job, not of the GPU)"),
    "TIMEOUT": ("stopped", "time-limit", "time limit reached"),
    "DEADLINE": ("stopped", "time-limit", "deadline reached"),
    "PREEMPTED": ("stopped", "preempted", "preempted"),
    "NODE_FAIL": ("stopped", "node-failure", "its node failed"),
    "BOOT_FAIL": ("stopped", "node-failure", "its node did not boot"),
    "CANCELLED": ("stopped", "cancelled", "cancelled"),
    "REVOKED": ("stopped", "cancelled", "revoked"),
    "COMPLETED": ("stopped", "interrupted", "its job ended without a result; see its log"),
}
"""sacct's states of a job that has ended: kind, cause, reason."""
INTERRUPTIONS = {INTERRUPTED, 15, 12}
"""Exit codes of a job that was told to leave, the last two before it could listen."""
KILLED = 9
NO_LOG = "0:53"
"""Slurm's own exit code for a job whose output file could not be opened."""
FAULT_WORDS = {
    "disk-full": "disk full",
    "read-only": "read-only file system",
    "file-system": "file system failed",
}
START_S = 1800
"""A job that has not begun its run for so long hangs: an image may take minutes to arrive."""
ACCOUNTS_S = 120
"""After an outage slurmdbd may learn that a job has failed before it learns the exit code."""

LAUNCH_FAILED = "launch failed requeued held"
PENDING = {
    "None": "",
    "Priority": "priority",
    "Resources": "resources",
    "JobArrayTaskLimit": "throttle",
    "Dependency": "waits for the array before it",
    "BeginTime": "a pause after its requeue",
    "ReqNodeNotAvail": "its nodes are not available",
    "JobHeldUser": "held",
    "JobHeldAdmin": "held by the administrator",
    LAUNCH_FAILED: "held: a node could not start it; `petl retry` sends it to another one",
}


def state_in_queue(run: RunDir, seen: RunState, last: Attempt, job: Job, epochs: int) -> RunState:
    """Of a run whose job is in the queue. `seen` is what the run directory says."""
    if job.state == "PENDING":
        return replace(seen, kind="pending", reason=_waiting(run, last, job), cause="")
    if seen.cause and last.submission.has_failed(run):
        return seen  # its job is about to end, or has other runs to do
    if (silent := _silence(run, last, job)) is not None:
        reason = f"{silent}; {_progress(run, seen.epoch, epochs)}"
        return replace(seen, kind="silent", reason=reason, cause="")
    if seen.kind == "running":
        reason = _progress(run, seen.epoch, epochs) + _waits_for(run, job)
        return replace(seen, reason=reason)
    if job.state == "SUSPENDED":
        return replace(seen, kind="pending", reason=f"suspended on {job.node}", cause="")
    if last.submission.record.per_job > 1:
        return replace(seen, kind="pending", reason=_turn(run, seen, last, job), cause="")
    word = "ending" if job.state == "COMPLETING" else "starting"
    return replace(seen, kind="running", reason=f"{word} on {job.node}", cause="")


def _waits_for(run: RunDir, job: Job) -> str:
    """Where an earlier worker still holds the run, so that its job waits for it."""
    held, start = holder(run.claim_file), _when(job.start)
    sign = _touched(run.claim_file)
    if held is None or start is None or sign > start.timestamp() - LATE_S:
        return ""
    who = f"process {held['pid']} on {held['host']}"
    return f"; job {job.id} on {job.node} waits for {who}, last seen at {clock(sign)}"


def _turn(run: RunDir, seen: RunState, last: Attempt, job: Job) -> str:
    """What a job of several runs does instead of this one."""
    mates = [
        RunDir(run.path.with_name(last.submission.record.runs[index]))
        for index in last.submission.indices(*last.chunk_and_task)
    ]
    at_work = [mate.path.name[:8] for mate in mates if is_alive(mate.claim_file)]
    does = f"works on {', '.join(at_work)}" if at_work else "is between two runs, or ends"
    start = _when(job.start)
    begun = start is not None and _last_sign(run) > start.timestamp()
    turn = f"its process ended in epoch {seen.epoch + 1}" if begun else "its turn comes"
    return f"{turn}; job {job.id} on {job.node} {does}"


def _silence(run: RunDir, last: Attempt, job: Job) -> Silence | None:
    """Of a run whose job runs: in its work, or before it began.

    A claim that is older than the job is an earlier try's, and says nothing about this one.
    """
    if job.state != "RUNNING":
        return None
    began = start.timestamp() if (start := _when(job.start)) else 0.0
    if (silent := run.silence()) is not None and silent.since > began - LATE_S:
        return silent._replace(host=job.node)
    in_turn = last.submission.record.per_job > 1
    if began and not in_turn and max(began, _last_sign(run)) < time.time() - START_S:
        return None if is_alive(run.claim_file) else Silence(began, job.node)
    return None


def explains_itself(run: RunDir, seen: RunState, last: Attempt) -> bool:
    """The run is alive, or has written why this attempt failed: Slurm need not be asked."""
    return seen.kind in ("running", "silent") or (
        bool(seen.cause) and last.submission.has_failed(run)
    )


def state_after_queue(
    run: RunDir, seen: RunState, last: Attempt, queue: Answer, accounts: Answer
) -> RunState:
    """Of a run whose job is not in the queue, or whose scheduler does not answer."""
    name = f"job {last.job}" if last.job else f"submitted {last.submission.submitted_at()}"
    if queue.trouble:
        name += f", {several(seen.epoch, 'epoch')} done" if seen.epoch else ""
        return replace(seen, kind="unknown", reason=f"{name}; {queue.trouble}", cause="")
    if last.job in last.submission.cancelled:
        return replace(seen, kind="stopped", cause="cancelled", reason="cancelled")
    job = accounts.jobs.get(last.array_task, queue.ended.get(last.array_task))
    if job is not None:
        return _ended(run, seen, job, last)
    where = f"squeue ({accounts.trouble})" if accounts.trouble else "squeue and sacct"
    return _lost(seen, f"gone from {where}, {_last_seen(run)}")


def _ended(run: RunDir, seen: RunState, job: Job, last: Attempt) -> RunState:
    state = job.state.split()[0].rstrip("+")
    if state == "FAILED":
        return _exit(job, seen, last)
    if state in ENDS:
        kind, cause, reason = ENDS[state]
        reason += f" ({job.node})" if cause == "node-failure" else ""
        reason += f" in epoch {seen.epoch + 1}" if cause in ("time-limit", "preempted") else ""
        return replace(seen, kind=kind, cause=cause, reason=reason)
    if time.time() - _last_sign(run) > SILENT_S:
        # slurmdbd has missed its end, and will say RUNNING for ever
        return _lost(seen, f"gone from squeue, still {state} in sacct, {_last_seen(run)}")
    reason = f"{state} in sacct, no longer in squeue"
    return replace(seen, kind="unknown", cause="", reason=reason)


def _lost(seen: RunState, reason: str) -> RunState:
    return replace(seen, kind="lost", cause="lost", reason=reason)


def _exit(job: Job, seen: RunState, last: Attempt) -> RunState:
    ended_at = _when(job.end)
    just_now = ended_at and (datetime.now() - ended_at).total_seconds() < ACCOUNTS_S
    if not job.exit or (job.exit == "0:0" and just_now):  # sacct does not know the exit code yet
        return replace(seen, kind="unknown", cause="", reason="its job has failed just now")
    on = f" on {job.node}" if job.node else ""
    if job.exit == NO_LOG:
        folder = last.submission.folder
        reason = f"Slurm could not write its log{on}: {folder} (disk full, read-only, not mounted?)"
        return replace(seen, kind="stopped", cause="file-system", reason=reason)
    code, _, number = job.exit.partition(":")
    ended = int(number or 0) or int(code or 0)  # a SIGKILL is 9:0, 0:9 or 137:0
    ended -= 128 if ended > 128 else 0
    if fault := FAULTS.get(ended):
        reason = f"{FAULT_WORDS[fault]}{on}: {_last_error(last.submission.log(job.id))}"
        return replace(seen, kind="stopped", cause=fault, reason=reason)
    if ended in INTERRUPTIONS:
        reason = f"interrupted in epoch {seen.epoch + 1}, and not requeued"
        return replace(seen, kind="stopped", cause="interrupted", reason=reason)
    if ended == KILLED:
        return replace(seen, kind="stopped", cause="killed", reason="killed (out of memory?)")
    reason = f"its job ended with exit code {ended} before the run began; see its log"
    return replace(seen, kind="failed", cause="crashed", reason=reason)


def _last_error(log: Path) -> str:
    """The last line of a traceback in a job's log, or where it would be: the disk may be full."""
    try:
        lines = read_regular(log)[-4096:].decode(errors="replace").splitlines()
    except OSError:
        lines = []
    errors = [line.partition("rror: ")[2] for line in lines if "rror: " in line]
    return errors[-1] if errors else f"its runs, data or cache folder ({log.parents[3]})"


def cause_of_failure(run: RunDir) -> str:
    failure = run.failure()
    return failure["class"] or "error" if failure else ""


def _waiting(run: RunDir, last: Attempt, job: Job) -> str:
    why = PENDING.get(job.reason)
    if why is None:  # QOSMaxJobsPerUserLimit reads better as words
        why = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", job.reason).lower()
    if (
        "held" in why
        and job.reason != LAUNCH_FAILED
        and any(last.submission.folder.glob("failed-*"))
    ):
        why = "held: other runs failed, all in the same way"
    times = Requeues(run).times()
    requeued = f"requeued {several(times, 'time')}" if times else ""
    start = _when(job.start)
    starts = f"starts about {clock(start.timestamp())}" if start and start > datetime.now() else ""
    return "; ".join(part for part in (requeued, why, starts) if part)


def _progress(run: RunDir, epoch: int, epochs: int) -> str:
    seconds = [row["seconds"] for row in run.metrics() if "seconds" in row]
    if not seconds:
        return f"epoch {epoch + 1}/{epochs}"
    left = fmean(seconds) * (epochs - epoch)
    return f"epoch {epoch}/{epochs}, {duration(left)} left"


def _last_sign(run: RunDir) -> float:
    files = (run.claim_file, run.metrics_file, run.log_file, run.task_file)
    return max(map(_touched, files))


def _touched(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _last_seen(run: RunDir) -> str:
    sign = _last_sign(run)
    if not sign:
        return "it never began (cancelled while it was pending?)"
    claim = holder(run.claim_file)
    on = f" on {claim['host']}" if claim else ""
    return f"no result, last seen{on} at {clock(sign)}"


def _when(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None

"""What to say of a run, by three witnesses: its directory, the scheduler, its own heartbeat.

result.json alone decides success. No witness alone decides that a run is dead: it is lost only when
the scheduler no longer has it and it has given no sign of life.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import fmean
from typing import Literal

from petl.files import read_json
from petl.runs.claim import SILENT_S, holder
from petl.runs.directory import RunDir
from slurm.node.requeues import Requeues
from slurm.node.stop import INTERRUPTED
from slurm.scheduler import Answer, Job
from slurm.submission import Try
from slurm.words import duration

Kind = Literal["done", "running", "pending", "failed", "stopped", "lost", "unknown", "waiting"]
"""`waiting` for somebody to submit it, `pending` in the scheduler's queue."""


@dataclass(frozen=True)
class Verdict:
    """`reason` is for a person; slurm.submit.policy decides by `cause`, the class of an end."""

    kind: Kind
    reason: str = ""
    epoch: int = 0
    cause: str = ""


ENDS: dict[str, tuple[Kind, str, str]] = {
    "OUT_OF_MEMORY": ("failed", "host-memory", "out of memory: the job's, not the GPU's"),
    "TIMEOUT": ("stopped", "time-limit", "time limit reached"),
    "DEADLINE": ("stopped", "time-limit", "deadline reached"),
    "PREEMPTED": ("stopped", "preempted", "preempted"),
    "NODE_FAIL": ("stopped", "node-failure", "its node failed"),
    "BOOT_FAIL": ("stopped", "node-failure", "its node did not start"),
    "CANCELLED": ("stopped", "cancelled", "cancelled"),
    "REVOKED": ("stopped", "cancelled", "revoked"),
    "COMPLETED": ("stopped", "interrupted", "its job ended without a result; its log says why"),
}
"""sacct's words for a job that has ended: kind, cause, reason."""
ASKED_TO_LEAVE = {INTERRUPTED, 15, 12}
"""Exit codes of a worker that was told to leave, the last two before it could listen."""
KILLED = 9
ACCOUNTS_S = 120
"""slurmdbd may learn that a job has failed before it learns of what, when it has been away."""

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
}


def in_queue(run: RunDir, seen: Verdict, last: Try, job: Job, epochs: int) -> Verdict:
    """The scheduler has it: whether its turn has come is what the other two tell."""
    if job.state == "PENDING":
        return replace(seen, kind="pending", reason=_waiting(run, last, job), cause="")
    if seen.kind == "failed" and last.submission.has_failed(run):
        return seen  # and its job is about to end, or has other runs to do
    if seen.kind == "running":
        return replace(seen, reason=_progress(run, seen.epoch, epochs))
    if job.state == "SUSPENDED":
        return replace(seen, kind="pending", reason=f"suspended on {job.node}", cause="")
    if last.submission.said.per_job > 1:
        return replace(seen, kind="pending", reason=f"its turn comes in job {job.id}", cause="")
    word = "ending" if job.state == "COMPLETING" else "starting"
    return replace(seen, kind="running", reason=f"{word} on {job.node}", cause="")


def gone(run: RunDir, seen: Verdict, last: Try, queue: Answer, accounts: Answer) -> Verdict:
    """The scheduler's queue does not have it, or does not answer."""
    if seen.kind == "running" or (seen.kind == "failed" and last.submission.has_failed(run)):
        return seen
    job = last.submission.job(last.at)
    whose = f"job {job}" if job else f"submitted {last.submission.started()}"
    if queue.trouble:
        return replace(seen, kind="unknown", reason=f"{whose}; {queue.trouble}", cause="")
    if job in last.submission.cancelled:
        return replace(seen, kind="stopped", cause="cancelled", reason="cancelled")
    place = last.submission.place(last.at)
    row = accounts.jobs.get(place, queue.ended.get(place))
    if row is None:
        where = "squeue" if accounts.trouble else "squeue and sacct"
        told = f" ({accounts.trouble})" if accounts.trouble else ""
        return replace(
            seen, kind="lost", cause="lost", reason=f"gone from {where}{told}, {_last_seen(run)}"
        )
    return _ended(run, seen, row)


def _ended(run: RunDir, seen: Verdict, row: Job) -> Verdict:
    state = row.state.split()[0].rstrip("+")
    if state == "FAILED":
        return _exit(row, seen)
    if state in ENDS:
        kind, cause, reason = ENDS[state]
        reason += f" ({row.node})" if cause == "node-failure" else ""
        reason += f" in epoch {seen.epoch + 1}" if cause in ("time-limit", "preempted") else ""
        return replace(seen, kind=kind, cause=cause, reason=reason)
    quiet = time.time() - _last_sign(run)
    if quiet > SILENT_S:  # an end that the accounts have missed stays open in them for ever
        reason = f"gone from squeue, still {state} in sacct, {_last_seen(run)}"
        return replace(seen, kind="lost", cause="lost", reason=reason)
    reason = f"{state} in sacct, no longer in squeue"
    return replace(seen, kind="unknown", cause="", reason=reason)


def _exit(row: Job, seen: Verdict) -> Verdict:
    just_now = _since(row.end) < ACCOUNTS_S
    if not row.exit or (row.exit == "0:0" and just_now):  # the accounts do not know yet how
        return replace(seen, kind="unknown", cause="", reason="its job has failed just now")
    code, _, number = row.exit.partition(":")
    ended = int(number or 0) or int(code or 0)  # 137 is told as 9:0, or as 0:9
    ended -= 128 if ended > 128 else 0
    if ended in ASKED_TO_LEAVE:
        reason = f"interrupted in epoch {seen.epoch + 1}, and not requeued"
        return replace(seen, kind="stopped", cause="interrupted", reason=reason)
    if ended == KILLED:
        return replace(seen, kind="stopped", cause="killed", reason="killed (out of memory?)")
    reason = f"its job ended with exit code {ended} before it could say why; its log may"
    return replace(seen, kind="failed", cause="crashed", reason=reason)


def cause_of_failure(run: RunDir) -> str:
    failure = read_json(run.failure_file)
    return str(failure.get("class", "error")) if isinstance(failure, dict) else ""


def _waiting(run: RunDir, last: Try, job: Job) -> str:
    word = PENDING.get(job.reason)
    if word is None:  # QOSMaxJobsPerUserLimit reads better as words
        word = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", job.reason).lower()
    if "held" in word and any(last.submission.folder.glob("failed-*")):
        word = "held: others failed, all in the same way"
    parts = [word]
    if times := Requeues(run).times():
        parts.insert(0, f"requeued {times} time{'s' if times > 1 else ''}")
    if (start := _when(job.start)) is not None and start > datetime.now():
        parts.append(f"starts about {_clock(start)}")
    return "; ".join(part for part in parts if part)


def _progress(run: RunDir, epoch: int, epochs: int) -> str:
    seconds = [row["seconds"] for row in run.metrics() if "seconds" in row]
    if not seconds:
        return f"epoch {epoch + 1}/{epochs}"
    left = fmean(seconds) * (epochs - epoch)
    return f"epoch {epoch}/{epochs}, {duration(left)} left"


def _last_sign(run: RunDir) -> float:
    files = (run.claim_file, run.metrics_file, run.log_file, run.task_file)
    times = [file.stat().st_mtime for file in files if file.exists()]
    return max(times, default=0.0)


def _last_seen(run: RunDir) -> str:
    sign = _last_sign(run)
    if not sign:
        return "it never began (cancelled while it waited?)"
    held = holder(run.claim_file)
    on = f" on {held['host']}" if held else ""
    return f"no result, last seen{on} at {_clock(datetime.fromtimestamp(sign))}"


def _since(said: str) -> float:
    when = _when(said)
    return (datetime.now() - when).total_seconds() if when else float("inf")


def _when(said: str) -> datetime | None:
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None


def _clock(when: datetime) -> str:
    today = when.date() == datetime.now().date()
    return when.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")

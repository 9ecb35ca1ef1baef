"""What squeue and sacct say, each asked once for everything.

If Slurm does not answer, that is no reason to fail: the answer then carries the error, so that "not
in the queue" and "not known" stay different.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from petl.errors import UserError
from slurm.call import without_here
from slurm.record import ArrayTask

TIMEOUT_S = 60
ASK_S = 10.0
"""How long all questions of one command wait for answers that do not come."""
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
DEFAULT_MAX_ARRAY_SIZE = 1001
SQUEUE = "%j|%F|%K|%T|%S|%N|%r"  # the reason last: a site may write anything into it
SACCT = "JobName,JobID,State,ExitCode,NodeList,End"


@dataclass(frozen=True)
class Job:
    """One job of an array as Slurm last described it."""

    id: str
    """`123_4`."""
    state: str
    reason: str = ""
    start: str = ""
    node: str = ""
    exit: str = ""
    end: str = ""

    @property
    def array(self) -> str:
        """The number of its array."""
        return self.id.partition("_")[0]


@dataclass(frozen=True)
class Answer:
    jobs: dict[ArrayTask, Job] = field(default_factory=dict)
    ended: dict[ArrayTask, Job] = field(default_factory=dict)
    """Jobs that have ended; squeue still shows them for some minutes."""
    trouble: str = ""
    """Why there is no answer; then `jobs` means nothing."""


def queued(arrays: Sequence[str]) -> Answer:
    """The jobs of these arrays that wait or run, and those that have just ended."""
    if not arrays:
        return Answer()
    names = f"--name={','.join(arrays)}"
    command = ["squeue", "--noheader", "--states=all", names, f"--format={SQUEUE}"]
    answer = _ask(command, squeue_line)
    ended = {task: job for task, job in answer.jobs.items() if job.state in ENDED}
    jobs = {task: job for task, job in answer.jobs.items() if task not in ended}
    return Answer(jobs, ended, answer.trouble)


def accounted(arrays: Sequence[str], since: float) -> Answer:
    """What the accounting knows of these arrays, ended or not."""
    if not arrays:
        return Answer()
    start = datetime.fromtimestamp(since - 3600).strftime("%Y-%m-%dT%H:%M:%S")
    return _ask(
        [
            *("sacct", "--noheader", "--parsable2", "--allocations", "--allusers"),
            *(f"--name={','.join(arrays)}", f"--starttime={start}", f"--format={SACCT}"),
        ],
        sacct_line,
    )


def _ask(command: list[str], read: Callable[[str], Iterable[tuple[ArrayTask, Job]]]) -> Answer:
    try:
        output = ask(command)
    except SlurmTrouble as error:
        return Answer(trouble=str(error))
    jobs: dict[ArrayTask, Job] = {}
    for line in output.splitlines():
        jobs.update(read(line))
    return Answer(jobs)


def squeue_line(line: str) -> Iterator[tuple[ArrayTask, Job]]:
    name, array, task_ids, state, start, node, reason = line.split("|", 6)
    for task_id in _numbers(task_ids):
        yield ArrayTask(name, task_id), Job(f"{array}_{task_id}", state, reason, start, node)


def sacct_line(line: str) -> Iterator[tuple[ArrayTask, Job]]:
    name, job, state, code, node, end = line.split("|", 5)
    array, _, task_ids = job.partition("_")
    # the state may be "CANCELLED by 1000"; waiting jobs share a line: 123_[4-7%2]
    for task_id in _numbers(task_ids.strip("[]")):
        yield ArrayTask(name, task_id), Job(f"{array}_{task_id}", state, "", "", node, code, end)


def _numbers(text: str) -> Iterator[int]:
    """`0-3,7%2` is 0, 1, 2, 3 and 7; `0-6:3` is 0, 3 and 6."""
    for part in text.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            step = last.partition(":")
            yield from range(int(first), int(step[0] or first) + 1, int(step[2] or 1))


def ranges(numbers: Iterable[int]) -> str:
    """The opposite: 0, 1, 2 and 7 are `0-2,7`."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


class SlurmTrouble(UserError):
    """A Slurm command failed, or is not installed here."""


class NotInstalled(SlurmTrouble):
    """There is no such command, so Slurm has not heard of it."""


def run(command: Sequence[str], timeout_s: float = TIMEOUT_S, text: str = "") -> str:
    """What the command prints when it reads this text; its error message, in one line, if it fails.

    sbatch reads scripts this way: a file in a shared folder could be replaced before it reads it.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            input=text,
            timeout=timeout_s,
            env=_environment(),
        )
    except FileNotFoundError:
        raise NotInstalled(f"there is no {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise SlurmTrouble(f"{command[0]} did not answer within {timeout_s:.0f} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        lines = [line for line in lines if "error:" in line] or lines
        raise SlurmTrouble(f"{command[0]}: {re.sub('^.*?error: ', '', lines[-1])}")
    return done.stdout


_unanswered_s = 0.0


def start_asking() -> None:
    """At the start of a command, or of each look of one that keeps looking."""
    global _unanswered_s
    _unanswered_s = 0.0


def ask(command: Sequence[str]) -> str:
    """What Slurm answers to a question. What changes something may take longer: `run`."""
    global _unanswered_s
    if _unanswered_s >= ASK_S:
        raise SlurmTrouble(f"Slurm has not answered within {ASK_S:.0f} s")
    began = time.monotonic()
    try:
        return run(command, ASK_S - _unanswered_s)
    except SlurmTrouble:
        _unanswered_s += time.monotonic() - began
        raise


def _environment() -> dict[str, str]:
    """Without the variables of a job we may be in, nor the user's own formats for squeue."""
    keep = ("SLURM_CONF", "SLURM_CLUSTERS")
    ours = {
        key: value
        for key, value in os.environ.items()
        if key in keep or not key.startswith(("SLURM_", "SQUEUE_", "SACCT_"))
    }
    return without_here(ours) | {"SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "standard"}


def max_array_size() -> int:
    try:
        match = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask(["scontrol", "show", "config"]), re.M)
    except SlurmTrouble:
        return DEFAULT_MAX_ARRAY_SIZE
    return int(match[1]) if match else DEFAULT_MAX_ARRAY_SIZE

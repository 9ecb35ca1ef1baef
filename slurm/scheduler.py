"""What squeue and sacct say, each asked once for everything.

A scheduler that does not answer is not a reason to fail: the answer carries the trouble in words,
and whoever judges by it can tell "not there" from "not known".
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from petl.errors import UserError
from slurm.submission import Place

Reader = Callable[[str], "Iterable[tuple[Place, Job]]"]

PATIENCE_S = 60
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
SMALLEST_USUAL_ARRAY = 1001
SQUEUE = "%j|%F|%K|%T|%S|%N|%r"  # the reason last: nobody knows what a site writes there
SACCT = "JobName,JobID,State,ExitCode,NodeList,End"


@dataclass(frozen=True)
class Job:
    """An element of an array as the scheduler last described it."""

    id: str
    state: str
    reason: str = ""
    start: str = ""
    node: str = ""
    exit: str = ""
    end: str = ""


@dataclass(frozen=True)
class Answer:
    jobs: dict[Place, Job] = field(default_factory=dict)
    ended: dict[Place, Job] = field(default_factory=dict)
    """Jobs that squeue still remembers, for some minutes."""
    trouble: str = ""
    """Why there is no answer; then `jobs` says nothing."""


def queued(arrays: Sequence[str]) -> Answer:
    """What of these arrays waits or runs, and what has just ended."""
    if not arrays:
        return Answer()
    names = f"--name={','.join(arrays)}"
    command = ["squeue", "--noheader", "--states=all", names, f"--format={SQUEUE}"]
    told = _ask(command, _row)
    ended = {place: job for place, job in told.jobs.items() if job.state in ENDED}
    return Answer(
        {place: job for place, job in told.jobs.items() if place not in ended}, ended, told.trouble
    )


def accounted(arrays: Sequence[str], since: float) -> Answer:
    """What became of these arrays, ended or not."""
    if not arrays:
        return Answer()
    from_then = datetime.fromtimestamp(since - 3600).strftime("%Y-%m-%dT%H:%M:%S")
    return _ask(
        [
            *("sacct", "--noheader", "--parsable2", "--allocations", "--allusers"),
            *(f"--name={','.join(arrays)}", f"--starttime={from_then}", f"--format={SACCT}"),
        ],
        _account,
    )


def _ask(command: list[str], read: Reader) -> Answer:
    try:
        told = run(command)
    except SlurmTrouble as trouble:
        return Answer(trouble=str(trouble))
    jobs: dict[Place, Job] = {}
    for line in told.splitlines():
        jobs.update(read(line))
    return Answer(jobs)


def _row(line: str) -> Iterator[tuple[Place, Job]]:
    name, array, indices, state, start, node, reason = line.split("|", 6)
    for index in _numbers(indices):
        yield Place(name, index), Job(f"{array}_{index}", state, reason, start, node)


def _account(line: str) -> Iterator[tuple[Place, Job]]:
    name, job, state, code, node, end = line.split("|", 5)
    array, _, indices = job.partition("_")
    # "CANCELLED by 1000" is one state; what waits is told as 123_[4-7%2]
    for index in _numbers(indices.strip("[]")):
        yield Place(name, index), Job(f"{array}_{index}", state, "", "", node, code, end)


def _numbers(said: str) -> Iterator[int]:
    """`0-3,7%2`: the elements 0, 1, 2, 3 and 7."""
    for part in said.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            step = last.partition(":")
            yield from range(int(first), int(step[0] or first) + 1, int(step[2] or 1))


def ranges(numbers: Iterable[int]) -> str:
    """The other way: 0, 1, 2 and 7 are `0-2,7`."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


class SlurmTrouble(UserError):
    """A command of Slurm's failed, or there is no such command here."""


def run(command: Sequence[str], timeout_s: float = PATIENCE_S) -> str:
    """What the command prints; its own complaint, in one line, if it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            env=_environment(),
        )
    except FileNotFoundError:
        raise SlurmTrouble(f"there is no {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise SlurmTrouble(f"{command[0]} gave no answer within {timeout_s:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        said = [line for line in said if "error:" in line] or said
        raise SlurmTrouble(f"{command[0]}: {re.sub('^.*?error: ', '', said[-1])}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, less a surrounding job's own and less a user's habits in looking at queues."""
    keep = ("SLURM_CONF", "SLURM_CLUSTERS")
    ours = {
        key: value
        for key, value in os.environ.items()
        if key in keep or not key.startswith(("SLURM_", "SQUEUE_", "SACCT_"))
    }
    return ours | {"SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "standard"}


def max_array_size() -> int:
    try:
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", run(["scontrol", "show", "config"]), re.M)
    except SlurmTrouble:
        return SMALLEST_USUAL_ARRAY
    return int(found[1]) if found else SMALLEST_USUAL_ARRAY

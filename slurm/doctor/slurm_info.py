"""What Slurm says about itself and about this user; all its commands are started at once."""

from __future__ import annotations

import getpass
import math
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from slurm.scheduler import run
from slurm.submit.profile import Profile

TIMEOUT_S = 8.0
COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "sinfo")
NO_LIMIT = ("UNLIMITED", "INFINITE", "NONE", "N/A", "")

T = TypeVar("T")


def in_background(function: Callable[[], T]) -> Future[T]:
    """In a daemon thread: a call that hangs on a dead file server does not keep petl from ending,
    as the threads of a ThreadPoolExecutor would."""
    future: Future[T] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # result() raises it in the caller's thread
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


class SlurmInfo:
    """A command that fails or hangs raises its SlurmTrouble for each check that needs it."""

    def __init__(self, timeout_s: float = TIMEOUT_S):
        self.is_absent = not any(map(shutil.which, COMMANDS))
        user = getpass.getuser()
        sacctmgr = ["sacctmgr", "--noheader", "--parsable2", "show"]
        commands = {
            "sbatch": ["sbatch", "--version"],
            "squeue": ["squeue", "--noheader", f"--user={user}", "--format=%i"],
            "sacct": ["sacct", "--noheader", "--allocations", "--starttime=now"],
            "scontrol": ["scontrol", "show", "config"],
            "sinfo": ["sinfo", "--noheader", "--all", "--Node", "--format=%R|%G"],
            "partitions": ["scontrol", "--oneliner", "--all", "show", "partition"],
            "accounts": [*sacctmgr, "assoc", f"user={user}", "format=Account,DefaultQOS,MaxWall"],
            "qos": [*sacctmgr, "qos", "format=Name,MaxWall"],
        }
        asked = {} if self.is_absent else commands
        self._answers = {
            name: in_background(partial(run, command, timeout_s)) for name, command in asked.items()
        }

    def answer(self, name: str) -> str:
        return self._answers[name].result()

    def rows(self, name: str) -> list[list[str]]:
        return [line.split("|") for line in self.answer(name).splitlines() if line]

    @property
    def config(self) -> dict[str, str]:
        pairs = (line.partition("=") for line in self.answer("scontrol").splitlines())
        return {key.strip(): value.strip() for key, _, value in pairs}

    @property
    def partitions(self) -> dict[str, Mapping[str, str]]:
        lines = self.answer("partitions").splitlines()
        rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]
        return {row["PartitionName"]: row for row in rows if "PartitionName" in row}

    def partition(self, profile: Profile) -> Mapping[str, str] | None:
        """The profile's, or the default one; of a list such as `gpu,spare` the first."""
        if profile.partition:
            return self.partitions.get(profile.partition.partition(",")[0])
        return next((row for row in self.partitions.values() if row.get("Default") == "YES"), None)

    def longest_times(self, profile: Profile) -> list[str]:
        """MaxTime of the partition; MaxWall of the account, its qos and the partition's qos.

        sbatch accepts a longer job all the same, which then stays in the queue for ever.
        """
        partition = self.partition(profile) or {}
        limits = [partition.get("MaxTime", "")]
        enforced = set(self.config.get("AccountingStorageEnforce", "").lower().split(","))
        if enforced & {"limits", "safe", "all"}:
            names = {profile.qos, partition.get("QoS")}
            for account, default_qos, max_wall in self.rows("accounts"):
                if profile.account in (None, account):
                    limits.append(max_wall)
                    names.add(profile.qos or default_qos)
            limits += [max_wall for name, max_wall in self.rows("qos") if name in names]
        return limits


def seconds(time: str) -> float:
    """Read a time as Slurm writes it: minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    if time.upper() in NO_LIMIT:
        return math.inf
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    return int(days or 0) * 86400 + sum(p * unit for p, unit in zip(parts, units, strict=False))


def number(text: str) -> int | None:
    """The number at the start of `30 sec`, if there is one."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else None

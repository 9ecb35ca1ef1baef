"""What Slurm says of itself, asked once and all at the same time."""

from __future__ import annotations

import getpass
import math
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Event, Thread

from petl.errors import reason
from slurm.scheduler import SlurmTrouble, run
from slurm.submit.profile import Profile

PATIENCE_S = 8.0
ENDLESS = ("UNLIMITED", "INFINITE", "NONE", "N/A", "")
ASSOCIATION = ("Account", "Partition", "QOS", "DefaultQOS", "MaxJobs", "MaxSubmit", "MaxWall")
QOS = ("Name", "MaxJobsPU", "MaxSubmitPU", "MaxWall", "GraceTime", "PreemptMode")

Row = Mapping[str, str]


def _questions(user: str) -> dict[str, list[str]]:
    return {
        "sbatch": ["sbatch", "--version"],
        "squeue": ["squeue", "--noheader", f"--user={user}", "--format=%i"],
        "sacct": ["sacct", "--noheader", "--allocations", "--starttime=now", "--format=JobID"],
        "scontrol": ["scontrol", "show", "config"],
        "sinfo": ["sinfo", "--noheader", "--all", "--Node", "--format=%R|%G|%T"],
        "partitions": ["scontrol", "--oneliner", "--all", "show", "partition"],
        "associations": _listing("assoc", ASSOCIATION, "where", f"user={user}"),
        "qos": _listing("qos", QOS),
    }


COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "sinfo")


def _listing(what: str, columns: tuple[str, ...], *more: str) -> list[str]:
    ask = ["sacctmgr", "--noheader", "--parsable2", "show", what, *more]
    return [*ask, f"format={','.join(columns)}"]


class Answer:
    """Of one command, waited for by whoever wants it; its trouble is raised for each of them."""

    def __init__(self, command: list[str], patience_s: float):
        self.seconds = 0.0
        self._told: str | SlurmTrouble = ""
        self._there = Event()
        Thread(target=self._ask, args=(command, patience_s), daemon=True).start()

    def _ask(self, command: list[str], patience_s: float) -> None:
        began = time.monotonic()
        try:
            self._told = run(command, patience_s)
        except SlurmTrouble as trouble:
            self._told = trouble
        except OSError as error:  # not a program, or not for us
            self._told = SlurmTrouble(f"{command[0]}: {reason(error)}")
        self.seconds = time.monotonic() - began
        self._there.set()

    def result(self) -> str:
        self._there.wait()
        if isinstance(self._told, SlurmTrouble):
            raise self._told
        return self._told


@dataclass(frozen=True)
class Node:
    partition: str
    gres: str
    state: str


class Site:
    def __init__(self, patience_s: float = PATIENCE_S):
        self.missing = [command for command in COMMANDS if not shutil.which(command)]
        asked = {} if self.is_absent else _questions(getpass.getuser())
        self.answers = {name: Answer(command, patience_s) for name, command in asked.items()}

    @property
    def is_absent(self) -> bool:
        return len(self.missing) == len(COMMANDS)

    @cached_property
    def config(self) -> dict[str, str]:
        pairs = (line.partition("=") for line in self._told("scontrol").splitlines())
        return {key.strip(): value.strip() for key, _, value in pairs}

    @cached_property
    def partitions(self) -> dict[str, Row]:
        rows = [
            dict(re.findall(r"(\w+)=(\S*)", line)) for line in self._told("partitions").splitlines()
        ]
        return {row["PartitionName"]: row for row in rows if "PartitionName" in row}

    def partition(self, profile: Profile) -> Row | None:
        """The one that the profile names, or the default; a list of them is judged by its first."""
        if profile.partition:
            return self.partitions.get(profile.partition.partition(",")[0])
        return next((row for row in self.partitions.values() if row.get("Default") == "YES"), None)

    @cached_property
    def nodes(self) -> list[Node]:
        rows = (line.split("|") for line in self._told("sinfo").splitlines())
        return [Node(*row) for row in rows if len(row) == 3]

    @property
    def associations(self) -> list[Row]:
        """Of this user; in which accounts, and with which limits."""
        return self._rows("associations", ASSOCIATION)

    @property
    def qos(self) -> dict[str, Row]:
        return {row["Name"]: row for row in self._rows("qos", QOS)}

    def enforces(self, what: str) -> bool:
        """`associations`, `limits` or `qos`; each of the last two brings the first with it."""
        words = self.config.get("AccountingStorageEnforce", "none").lower().split(",")
        wider = ("limits", "qos", "safe") if what == "associations" else ("safe",)
        return any(word in words for word in (what, "all", *wider))

    def _rows(self, question: str, columns: tuple[str, ...]) -> list[Row]:
        lines = self._told(question).splitlines()
        return [dict(zip(columns, line.split("|"), strict=False)) for line in lines if line]

    def _told(self, question: str) -> str:
        return self.answers[question].result()


def seconds(said: str) -> float:
    """Of a time as Slurm writes it: minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    if said.upper() in ENDLESS:
        return math.inf
    days, dash, rest = said.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    return int(days or 0) * 86400 + sum(p * unit for p, unit in zip(parts, units, strict=False))


def number(said: str) -> int | None:
    """`30 sec`, `5001`; nothing where there is no limit."""
    found = re.match(r"\d+", said)
    return int(found[0]) if found else None

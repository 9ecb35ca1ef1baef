"""What a run was made in, what this process is in, and how two of these differ."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import petl
from petl.runs.machine import Machine, driver, machine, machine_file, read_machine
from petl.runs.provenance import environment, git_commit, lock_hash
from petl.runs.result import Environment, Summary

FACTS = {
    "python": "Python",
    "torch": "torch",
    "cuda": "CUDA",
    "driver": "driver",
    "gpu": "GPU",
    "threads": "threads",
    "petl": "petl",
    "git_commit": "commit",
    "lock_hash": "lock",
    "image": "image",
    "base_image": "base image",
}
"""Of a result's `environment`, what may change numbers, and its name for people."""
UNKNOWN = "not recorded"
SHORT = 12
"""Of a hash."""


class Surroundings(NamedTuple):
    """`machine` is None where it was not recorded, or its file is gone."""

    facts: Mapping[str, Any]
    machine: Machine | None


class Difference(NamedTuple):
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.name}: {self.before}, and {self.after}"


def here() -> Surroundings:
    """Of this process. A login node without torch has no GPU to tell of."""
    if find_spec("torch"):
        return Surroundings(environment(), machine())
    facts: Environment = {
        "petl": petl.__version__,
        "git_commit": git_commit(),
        "lock_hash": lock_hash(),
        "python": platform.python_version(),
        "driver": driver(),
        "threads": len(os.sched_getaffinity(0)),
    }
    return Surroundings(facts, machine())


def of_run(result: Summary, runs: Path) -> Surroundings:
    facts = result["environment"]
    return Surroundings(facts, read_machine(machine_file(runs, facts.get("machine"))))


def differences(before: Surroundings, after: Surroundings) -> list[Difference]:
    found = [
        Difference(name, _text(before.facts, key), _text(after.facts, key))
        for key, name in FACTS.items()
        if before.facts.get(key) != after.facts.get(key)
        and not (key == "git_commit" and _same_code(before.facts, after.facts))
    ]
    a, b = before.machine, after.machine
    if a is None or b is None:
        if a != b:
            side = [UNKNOWN if one is None else "recorded" for one in (a, b)]
            found.append(Difference("packages and CPU", *side))
        return found
    for key, name in (("cpu", "CPU"), ("system", "system")):
        if a[key] != b[key]:  # type: ignore[literal-required]
            found.append(Difference(name, a[key], b[key]))  # type: ignore[literal-required]
    return [*found, *_flags(a["cpu_flags"], b["cpu_flags"]), *_packages(a, b)]


def _same_code(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Two commits may have the same program: one that changes a page of documentation."""
    sources = [(facts.get("code") or {}).get("source") for facts in (before, after)]
    return sources[0] is not None and sources[0] == sources[1]


def _flags(before: list[str], after: list[str]) -> list[Difference]:
    only = [sorted(set(x) - set(y)) for x, y in ((before, after), (after, before))]
    if not any(only):
        return []
    return [Difference("CPU flags", *(f"only {' '.join(some)}" if some else "-" for some in only))]


def _packages(a: Machine, b: Machine) -> list[Difference]:
    old, new = a["packages"], b["packages"]
    return [
        Difference(f"package {name}", old.get(name, "none"), new.get(name, "none"))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _text(facts: Mapping[str, Any], key: str) -> str:
    if key not in facts:
        return UNKNOWN
    value = facts[key]
    if value is None:
        return "none"
    return str(value)[:SHORT] if key == "lock_hash" else str(value)

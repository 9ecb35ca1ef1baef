"""What a check reports, and how checks run at the same time without holding each other up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from petl.errors import reason
from petl.places import Places
from slurm.doctor.slurm_info import SlurmInfo, in_background
from slurm.scheduler import SlurmTrouble
from slurm.submit.profile import Profile

Level = Literal["ok", "warning", "failure"]

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Finding:
    level: Level
    text: str
    """One line: what is right or wrong."""
    todo: str = ""
    """One line: what to do about it."""
    check: str = ""


def ok(text: str) -> Finding:
    return Finding("ok", text)


def warning(text: str, todo: str) -> Finding:
    return Finding("warning", text, todo)


def failure(text: str, todo: str) -> Finding:
    return Finding("failure", text, todo)


@dataclass(frozen=True)
class Context:
    """What the checks look at. Without a cluster's name the profile is a stand-in."""

    cluster: str | None
    profile: Profile
    places: Places
    slurm: SlurmInfo


Check = Callable[[Context], Iterable[Finding]]


def run_checks(
    checks: Sequence[Check], context: Context, timeout_s: float = TIMEOUT_S
) -> list[Finding]:
    """All at the same time. One that hangs, as on a dead file server, is reported and left."""
    end = time.monotonic() + timeout_s
    started = [(check, in_background(partial(_listed, check, context))) for check in checks]
    findings: list[Finding] = []
    unknown: dict[str, list[str]] = {}
    for check, future in started:
        name = check.__name__.replace("_", " ")
        found: list[Finding] = []
        try:
            found = future.result(timeout=max(0.0, end - time.monotonic()))
        except FutureTimeout:
            todo = "a file server or a Slurm command hangs; try `df` and `sinfo` by hand"
            found = [failure(f"the check of {name} did not finish in time", todo)]
        except OSError as error:
            todo = "check that you may read and write there"
            found = [failure(f"{name}: {error.filename}: {reason(error)}", todo)]
        except SlurmTrouble as trouble:
            unknown.setdefault(str(trouble), []).append(name)
        findings += [replace(one, check=name) for one in found]
    for trouble_text, names in unknown.items():
        text = f"could not check {', '.join(names)}: {trouble_text}"
        todo = "try again later, or ask the cluster's support"
        findings.append(replace(warning(text, todo), check="answers"))
    return findings


def _listed(check: Check, context: Context) -> list[Finding]:
    return list(check(context))

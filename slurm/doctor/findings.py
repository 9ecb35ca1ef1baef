"""What a check says, and running many checks of which none may take long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, replace
from typing import Literal

from petl.errors import reason
from petl.places import Places
from slurm.doctor.site import Site
from slurm.scheduler import SlurmTrouble
from slurm.submit.profile import Profile

Level = Literal["ok", "warning", "failure"]

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Finding:
    level: Level
    text: str
    todo: str = ""
    """What to do about it."""
    check: str = ""


def ok(text: str) -> Finding:
    return Finding("ok", text)


def warning(text: str, todo: str) -> Finding:
    return Finding("warning", text, todo)


def failure(text: str, todo: str) -> Finding:
    return Finding("failure", text, todo)


@dataclass(frozen=True)
class Patient:
    """What is examined. Without a cluster's name only checks that need no profile are made."""

    cluster: str | None
    profile: Profile
    places: Places
    site: Site


Check = Callable[[Patient], Iterable[Finding]]


def examine(
    checks: Sequence[Check], patient: Patient, patience_s: float = PATIENCE_S
) -> list[Finding]:
    """All at the same time; one that hangs, as on a file server that is gone, is left behind."""
    end = time.monotonic() + patience_s
    started = [(check, _in_background(check, patient)) for check in checks]
    found: list[Finding] = []
    untold: dict[str, list[str]] = {}
    for check, future in started:
        name = check.__name__.replace("_", " ")
        try:
            found += [replace(one, check=name) for one in _outcome(name, future, end)]
        except SlurmTrouble as trouble:
            untold.setdefault(str(trouble), []).append(name)
    for why, names in untold.items():
        said = f"not known: {', '.join(names)}; {why}"
        found.append(Finding("warning", said, "again later, or ask those who run it", "answers"))
    return found


def _outcome(name: str, future: Future[list[Finding]], end: float) -> list[Finding]:
    try:
        return future.result(timeout=max(0.0, end - time.monotonic()))
    except TookTooLong:
        todo = "a file server or a command may hang; `df` and `sinfo` by hand show which"
        return [failure(f"{name}: no answer in time", todo)]
    except OSError as error:
        said = f"{error.filename}: {reason(error)}"
        return [failure(f"{name}: {said}", "see to it that you may read and write there")]


def _in_background(check: Check, patient: Patient) -> Future[list[Finding]]:
    """A daemon thread: one that hangs does not keep the program from ending."""
    future: Future[list[Finding]] = Future()

    def carry_out() -> None:
        try:
            future.set_result(list(check(patient)))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    return future

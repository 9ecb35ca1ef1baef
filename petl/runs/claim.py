"""Who works on a run: at most one process, and a dead one never blocks a live one.

A claim is a small file made by link(2), which either makes it whole or fails, on NFS too (flock
may not work there). It names host, boot, PID namespace, process number and the time that process
started. Only a process of the same boot and namespace can look the worker up; for everybody else
the file's age decides, because a worker touches it as it goes.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from petl.errors import UserError
from petl.files import read_json, read_regular, write_json

SILENT_S = 600
"""A worker that cannot be looked up and has been silent for this long is taken for dead."""
TOUCH_S = 10
LATE_S = 60
"""A file server's clients may see a touched file this much later: NFS keeps attributes so long."""
EPOCHS = 3
"""A silent worker may still be at work for this many times its longest epoch."""
CLOCK_S = 60
"""How long a measured difference between two clocks is believed."""

_clocks: dict[int, tuple[float, float]] = {}
"""By file system: how far its clock is ahead of ours, and when that was measured."""


class RunIsTaken(UserError):
    """Another process works on this run, alive as far as can be told."""


class Claim:
    """`with Claim(path): ...` holds the run; `touch()` now and then shows that its holder lives."""

    def __init__(self, path: Path):
        self.path = path
        self.token = secrets.token_hex(8)
        self._touched = 0.0

    def __enter__(self) -> Claim:
        mine = self.path.with_name(f".claim.{self.token}")
        pid = os.getpid()
        where = {"host": socket.gethostname(), "boot": _boot(), "namespace": _namespace()}
        write_json(mine, {"token": self.token, **where, "pid": pid, "born": _born(pid)})
        try:
            while not _linked(mine, self.path):
                self._remove_dead()
        finally:
            mine.unlink(missing_ok=True)
        return self

    def _remove_dead(self) -> None:
        """Make way, unless the holder lives."""
        seen = _content(self.path)
        if seen is None:
            return
        if is_alive(self.path):
            who = _who(holder(self.path))
            raise RunIsTaken(f"{self.path.parent}: {who} is working on this run already")
        _remove(self.path, seen)

    def check(self) -> None:
        """Raise RunIsTaken if the run was taken over: to be called before anything is written.

        A process that slept for hours still believes that the run is its own.
        """
        held = holder(self.path)
        if held is None or held["token"] != self.token:
            raise RunIsTaken(f"{self.path.parent}: {_who(held)} has taken this run over")

    def touch(self) -> None:
        """Show a sign of life; cheap enough to be called at every step."""
        if time.monotonic() - self._touched > TOUCH_S:
            self.check()
            os.utime(self.path)
            self._touched = time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held = holder(self.path)
        if held is not None and held["token"] == self.token:
            with suppress(OSError) if error else nullcontext():  # the first error tells more
                self.path.unlink(missing_ok=True)


class Silence(NamedTuple):
    """A worker that may be alive gives no sign of life for longer than its work explains."""

    since: float
    host: str

    def __str__(self) -> str:
        return f"no sign of life since {clock(self.since)} on {self.host}"


def silence(path: Path, longest_s: float = 0.0) -> Silence | None:
    """Of the holder, whose longest epoch took so long; None if it is heard, or dead for certain.

    A worker touches its claim at every step. What may take longer is bounded by its own epochs and
    by SILENT_S; a reader may see a touch late; and where the file server's clock cannot be
    compared with ours, nobody is called silent.
    """
    held = holder(path)
    if held is None or _is_dead(held):
        return None
    try:
        seconds = age(path, guess=False)
    except OSError:
        return None
    if seconds <= SILENT_S + EPOCHS * longest_s + TOUCH_S + LATE_S:
        return None
    return Silence(time.time() - seconds, str(held["host"]))


def revoke(path: Path, longest_s: float = 0.0) -> bool:
    """Take the run from a silent holder. When it wakes, it misses its token and leaves."""
    seen = _content(path)
    if seen is None or silence(path, longest_s) is None:
        return False
    _remove(path, seen)
    return True


def clock(when: float) -> str:
    """`14:30`, with the date if it was not today."""
    then = time.localtime(when)
    today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", then)


def holder(path: Path) -> dict[str, Any] | None:
    """Who has claimed the run; None when the file does not name anybody."""
    claim = read_json(path)
    if not isinstance(claim, dict) or not claim.keys() >= {"token", "host", "pid", "born"}:
        return None
    return claim if type(claim["pid"]) is int else None  # it becomes a path below /proc


def is_alive(path: Path) -> bool:
    """Is there a claim whose holder lives, as far as can be told from here?

    The same host name is not enough to look a process up: containers have names in common and
    process numbers of their own, and a host that was restarted counts from 1 again.
    """
    claim = holder(path)
    if claim is None:
        return False
    if _is_from_here(claim):
        return not _is_dead(claim)
    try:
        return age(path) < SILENT_S
    except FileNotFoundError:
        return False


def _is_from_here(claim: dict[str, Any]) -> bool:
    return (claim.get("boot"), claim.get("namespace")) == (_boot(), _namespace())


def _is_dead(claim: dict[str, Any]) -> bool:
    """For certain: its process was of this machine, and is gone."""
    return _is_from_here(claim) and (claim["born"] is None or _born(claim["pid"]) != claim["born"])


def age(path: Path, guess: bool = True) -> float:
    """Seconds since a file was touched, by the clock of the file server alone.

    Hosts' clocks differ, by minutes where nobody set them. A file written now beside the other
    one gets its time from the same server, and the difference is the age whatever our clock says.
    Where we may not write, our own clock has to do, or with `guess=False` it is an OSError.
    """
    touched = path.stat().st_mtime
    device = path.parent.stat().st_dev
    ahead, measured = _clocks.get(device, (0.0, float("-inf")))
    if time.monotonic() - measured > CLOCK_S:
        try:
            ahead = _clock_ahead(path.parent)
        except OSError:
            if not guess:
                raise
            return time.time() - touched
        _clocks[device] = ahead, time.monotonic()
    return time.time() + ahead - touched


def _clock_ahead(folder: Path) -> float:
    probe = folder / f".claim.clock.{secrets.token_hex(4)}"
    try:
        probe.touch(exist_ok=False)
        return probe.stat().st_mtime - time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _remove(path: Path, seen: bytes) -> None:
    """Remove a claim of this content.

    The race: between looking and removing, another process may have removed this claim and made
    its own, which we would then remove. So what was seen names a marker that only one process at a
    time can make, and under the marker the claim is compared once more.
    """
    marker = path.with_name(f".takeover.{hashlib.sha256(seen).hexdigest()[:16]}")
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        _remove_if_old(marker)
        raise RunIsTaken(f"{path.parent}: another process takes this run over") from None
    try:
        if _content(path) == seen:
            path.unlink()
    finally:
        marker.unlink(missing_ok=True)


def _linked(mine: Path, path: Path) -> bool:
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    return True


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except FileNotFoundError:
        return None


def _remove_if_old(marker: Path) -> None:
    """Its maker died between two lines of code; the next try may pass."""
    with suppress(FileNotFoundError):
        if age(marker) > SILENT_S:
            marker.unlink()


def _boot() -> str | None:
    """This boot of this machine, the same in all its containers."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _namespace() -> int | None:
    """The PID namespace: process numbers mean something within one only."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None


def _born(pid: int) -> str | None:
    """The process's start time, which tells it from a later one of the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return None if state == "Z" else start


def _who(held: dict[str, Any] | None) -> str:
    return f"process {held['pid']} on {held['host']}" if held else "another process"

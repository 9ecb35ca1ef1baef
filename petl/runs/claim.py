"""Who works on a run: at most one process, and a dead one never blocks a live one.

A claim is a small file made by link(2), which either makes it whole or fails, on NFS too (flock
may not work there). It says host, process and when that process started, so that a reused process
number is not taken for the worker; on another host the file's age tells: a worker touches it as it
goes.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from petl.errors import UserError
from petl.files import read_json, write_json

SILENT_S = 600
"""A worker on another host that has given no sign of life for this long is taken for dead."""
TOUCH_S = 10


class RunIsTaken(UserError):
    """Somebody else works on this run, alive as far as can be told."""


class Claim:
    """`with Claim(path): ...` holds the run; `touch()` now and then shows that its holder lives."""

    def __init__(self, path: Path):
        self.path = path
        self.token = secrets.token_hex(8)
        self._touched = 0.0

    def __enter__(self) -> Claim:
        mine = self.path.with_name(f".claim.{self.token}")
        pid = os.getpid()
        write_json(
            mine,
            {"token": self.token, "host": socket.gethostname(), "pid": pid, "born": _born(pid)},
        )
        try:
            while not _linked(mine, self.path):
                self._remove_dead()
        finally:
            mine.unlink(missing_ok=True)
        return self

    def _remove_dead(self) -> None:
        """Make way, unless the holder lives.

        Between looking and removing, another process may have done both and taken the claim. So
        what was seen names a marker that one process at a time can make, and is looked at again.
        """
        seen = _content(self.path)
        if seen is None:
            return
        if is_alive(self.path):
            who = _who(holder(self.path))
            raise RunIsTaken(f"{self.path.parent}: {who} is working on this run already")
        marker = self.path.with_name(f".takeover.{hashlib.sha256(seen).hexdigest()[:16]}")
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            _remove_if_old(marker)
            raise RunIsTaken(f"{self.path.parent}: another process takes this run over") from None
        try:
            if _content(self.path) == seen:
                self.path.unlink()
        finally:
            marker.unlink(missing_ok=True)

    def touch(self) -> None:
        """As often as one likes. Whoever was silent for too long may find the run taken over."""
        if time.monotonic() - self._touched > TOUCH_S:
            held = holder(self.path)
            if held is None or held["token"] != self.token:
                raise RunIsTaken(f"{self.path.parent}: {_who(held)} has taken this run over")
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
            self.path.unlink(missing_ok=True)


def holder(path: Path) -> dict[str, Any] | None:
    """Who has claimed the run; a file that does not say so is nobody's."""
    claim = read_json(path)
    whole = isinstance(claim, dict) and claim.keys() >= {"token", "host", "pid", "born"}
    return claim if whole else None


def is_alive(path: Path) -> bool:
    """Is there a claim whose holder lives, as far as can be told from this host?"""
    claim = holder(path)
    if claim is None:
        return False
    if claim["host"] == socket.gethostname():
        return bool(_born(claim["pid"]) == claim["born"] is not None)
    try:
        return time.time() - path.stat().st_mtime < SILENT_S
    except FileNotFoundError:
        return False


def _linked(mine: Path, path: Path) -> bool:
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    return True


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remove_if_old(marker: Path) -> None:
    """Its maker died between two lines of code; the next try may pass."""
    with suppress(FileNotFoundError):
        if time.time() - marker.stat().st_mtime > SILENT_S:
            marker.unlink()


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

"""How far a run is, exactly, on disk: written aside, checked, and renamed over the one before.

Two are kept. A file begins with the digest of the rest, so that one cut short or damaged is not
taken for a checkpoint, and the one before it serves.
"""

from __future__ import annotations

import hashlib
import io
import time
from pathlib import Path
from typing import Any

import torch

from petl.errors import UserError
from petl.files import write_atomic
from petl.runs import RunDir
from petl.train.failures import DISK_FULL, DiskFull

DIGEST = 32
SHARE = 0.05
"""At most so much of the time goes into writing checkpoints at epoch ends."""

State = dict[str, Any]


class Checkpoints:
    def __init__(self, run: RunDir, minutes: float):
        self.newest, self.older = run.resume_file, run.older_resume_file
        self.every_s = 60 * minutes
        self.last_at, self.took_s = time.monotonic(), 0.0

    def due(self, epoch_ends: bool) -> bool:
        """A full fine-tuning's are large: they wait, where epochs are short."""
        since = time.monotonic() - self.last_at
        return since >= self.every_s or (epoch_ends and self.took_s <= SHARE * since)

    def save(self, state: State) -> None:
        started = time.monotonic()
        payload = io.BytesIO()
        torch.save(state, payload)
        content = payload.getvalue()
        written = self.newest.with_name(f".{self.newest.name}.new")
        try:
            write_atomic(written, hashlib.sha256(content).digest() + content)
            if self.newest.exists():
                self.newest.replace(self.older)
            written.replace(self.newest)
        except OSError as error:
            written.unlink(missing_ok=True)
            if error.errno not in DISK_FULL:
                raise UserError(
                    f"{self.newest}: {(error.strerror or str(error)).lower()}"
                ) from None
            raise DiskFull(
                f"{self.newest}: no room for a checkpoint of {len(content) / 1e6:.0f} MB; "
                "the one before it is kept and the run resumes there"
            ) from None
        self.last_at = time.monotonic()
        self.took_s = self.last_at - started

    def load(self) -> State | None:
        """The newest whole one."""
        states = (_read(file) for file in (self.newest, self.older))
        return next((state for state in states if state is not None), None)

    def remove(self) -> None:
        """The run is done. A temporary file of a killed writer goes too."""
        for file in self.newest.parent.glob(f".{self.newest.name}.*"):
            file.unlink(missing_ok=True)
        self.newest.unlink(missing_ok=True)
        self.older.unlink(missing_ok=True)


def _read(file: Path) -> State | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        return None
    state: State = torch.load(io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True)
    return state

"""How far a run is, exactly, on disk: written aside, checked, and renamed over the one before.

Two are kept. A file begins with the digest of the rest, so that one cut short or damaged is not
taken for a checkpoint, and the one before it serves.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from petl.config import Task
from petl.errors import UserError, reason
from petl.files import write_atomic
from petl.runs.directory import RunDir
from petl.train.failures.kinds import DISK_FULL, DiskFull
from petl.train.loop import Outcome

DIGEST = 32
TENSOR, LIST, REST = "tensor", "list", "rest"
SHARE = 0.05
"""At most so much of the time goes into writing checkpoints at epoch ends."""

State = dict[str, Any]


class Checkpoints:
    def __init__(self, run: RunDir, minutes: float):
        self.newest, self.older = run.resume_file, run.older_resume_file
        self.coming = self.newest.with_name("resume.new.pt")
        self.every_s = 60 * minutes
        self.last_at, self.took_s = time.monotonic(), 0.0

    def due(self, epoch_ends: bool) -> bool:
        """A full fine-tuning's are large: they wait, where epochs are short."""
        since = time.monotonic() - self.last_at
        return since >= self.every_s or (epoch_ends and self.took_s <= SHARE * since)

    def save(self, state: State) -> None:
        started = time.monotonic()
        content = _packed(state)
        try:
            write_atomic(self.coming, content)
            if self.newest.exists():
                self.newest.replace(self.older)
            self.coming.replace(self.newest)
        except OSError as error:
            self.coming.unlink(missing_ok=True)
            if error.errno not in DISK_FULL:
                raise UserError(f"{self.newest}: {reason(error)}") from None
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
        """The run is done."""
        for file in (self.coming, self.newest, self.older):
            file.unlink(missing_ok=True)


def _read(file: Path) -> State | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    body = memoryview(content)[DIGEST:]
    whole = hashlib.sha256(body).digest() == content[:DIGEST]
    return _unpacked(body) if whole else None


def _packed(state: State) -> memoryview:
    """The digest, then tensors as they are and the rest as JSON among them.

    So the weights-only unpickler, which runs no code from a file, reads it: torch 1.13's knows
    no floats.
    """
    tensors: dict[str, Tensor] = {}

    def take_out(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = str(len(tensors))
            tensors[name] = value
            return {TENSOR: name}
        if isinstance(value, dict):
            return [[key, take_out(below)] for key, below in value.items()]
        if isinstance(value, list | tuple):
            return {LIST: [take_out(below) for below in value]}
        return value

    rest = json.dumps(take_out(state)).encode()
    tensors[REST] = torch.frombuffer(bytearray(rest), dtype=torch.uint8)
    body = io.BytesIO()
    body.write(bytes(DIGEST))
    torch.save(tensors, body)
    content = body.getbuffer()  # a full fine-tuning's is over a gigabyte: no copies
    content[:DIGEST] = hashlib.sha256(content[DIGEST:]).digest()
    return content


def _unpacked(body: memoryview) -> State:
    tensors = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)

    def put_back(value: Any) -> Any:
        if isinstance(value, list):  # of pairs: JSON would make a string of a number as a key
            return {key: put_back(below) for key, below in value}
        if isinstance(value, dict) and TENSOR in value:
            return tensors[value[TENSOR]]
        if isinstance(value, dict):
            return [put_back(below) for below in value[LIST]]
        return value

    state: State = put_back(json.loads(tensors[REST].numpy().tobytes()))
    return state


def save_weights(run: RunDir, task: Task, outcome: Outcome) -> None:
    """weights.safetensors: the trained tensors alone; the rest comes from the backbone's source.

    All facts are under one metadata key, because safetensors writes several keys in any order and
    the same run should give the same bytes.
    """
    from safetensors.torch import save

    epoch = outcome.epochs if task.weights == "last" else outcome.best_epoch
    facts = json.dumps({"run_id": task.run_id, "weights": task.weights, "epoch": epoch})
    tensors = {name: tensor.cpu().contiguous() for name, tensor in outcome.weights.items()}
    write_atomic(run.weights_file, save(tensors, {"petl": facts}))

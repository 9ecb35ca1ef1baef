"""What a run leaves of its model on disk: checkpoints to continue from, and the trained weights.

A checkpoint is a safetensors file: tensors, and in the header the rest of the state as JSON with a
digest of everything, so that a truncated or damaged file is not used. Nothing in it can run code,
and `check` compares it with the run before it is used: run folders are shared, and another member
of the group may have written it.

Two are kept. To save is to write and sync `resume.new`, to rename `resume` to `resume.before`, and
to rename `resume.new` to `resume`. A process killed between any two of these leaves at least one
whole checkpoint, and a run continues from the newest that is whole and its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from petl.errors import UserError, fault_of, reason
from petl.files import write_atomic
from petl.runs.directory import RunDir

if TYPE_CHECKING:
    from petl.train.generators.fit import GeneratorFit
    from petl.train.loop import Fit

TENSOR = "tensor"
SHARE = 0.05
"""The share of the time that checkpoints at the ends of epochs may take."""

MOST_THREADS = 1024
State = dict[str, Any]


class Checkpoints:
    def __init__(self, run: RunDir, minutes: float, check: Callable[[], object] = lambda: None):
        """`check` raises if the run is another process's by now."""
        self.check = check
        self.newest, self.older = run.resume_file, run.older_resume_file
        self.incoming = self.newest.with_name("resume.new.safetensors")
        self.every_s = 60 * minutes
        self.last_at, self.took_s = time.monotonic(), 0.0

    def due(self, epoch_ends: bool) -> bool:
        """After so many minutes, and after each epoch unless saving takes too much of the time."""
        since = time.monotonic() - self.last_at
        return since >= self.every_s or (epoch_ends and self.took_s <= SHARE * since)

    def save(self, state: State) -> None:
        started = time.monotonic()
        content = _pack(state)
        try:
            write_atomic(self.incoming, content, check=self.check)
            if self.newest.exists():
                self.newest.replace(self.older)
            self.incoming.replace(self.newest)
        except OSError as error:
            self.incoming.unlink(missing_ok=True)
            if fault_of(error) != "disk-full":
                raise UserError(f"{self.newest}: {reason(error)}") from None
            raise UserError(
                f"{self.newest}: no space for a checkpoint of {len(content) / 1e6:.0f} MB; "
                "free some and start the run again: it continues from the one before"
            ) from None
        self.last_at = time.monotonic()
        self.took_s = self.last_at - started

    def files(self) -> list[Path]:
        """Those there are, the newest first."""
        return [file for file in (self.newest, self.older) if os.path.lexists(file)]

    def remove(self) -> None:
        for file in (self.incoming, self.newest, self.older):
            file.unlink(missing_ok=True)


def _pack(state: State) -> bytes:
    """Tensors by number, and the rest as JSON with `{"tensor": number}` in their places."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    memory: set[int] = set()

    def put_aside(tensor: Tensor) -> dict[str, str]:
        name, tensor = str(len(tensors)), tensor.detach().cpu().contiguous()
        if tensor.data_ptr() in memory:  # safetensors refuses tensors that share memory
            tensor = tensor.clone()
        memory.add(tensor.data_ptr())
        tensors[name] = tensor
        return {TENSOR: name}

    rest = json.dumps(state, default=put_aside)
    return save(tensors, {"state": rest, "digest": _digest(rest, tensors)})


def _unpack(rest: str, tensors: dict[str, Tensor]) -> State:
    """JSON has turned the optimiser's keys, which are numbers, into strings: turn them back."""

    def put_back(items: dict[str, Any]) -> Any:
        if items.keys() == {TENSOR}:
            return tensors[items[TENSOR]]
        return {int(key) if key.isdigit() else key: value for key, value in items.items()}

    state: State = json.loads(rest, object_hook=put_back)
    return state


def read(file: Path) -> State:
    """Raise ValueError if the file is not a whole checkpoint."""
    from safetensors import safe_open

    if not file.is_file():  # to open a pipe would wait for ever
        raise ValueError("not a regular file")
    try:
        with safe_open(str(file), framework="pt") as opened:
            about = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        rest = about["state"]
        if about["digest"] == _digest(rest, tensors):
            return _unpack(rest, tensors)
    except MemoryError:
        raise
    except OSError as error:
        raise ValueError(reason(error)) from None
    except Exception:  # the library raises errors of its own for a broken file
        pass
    raise ValueError("damaged, or not a checkpoint")


def check(state: State, fit: Fit | GeneratorFit, run_id: str) -> None:
    """Raise ValueError unless the state is of this run, with its keys, types and shapes.

    The digest finds damage. This finds what is whole but of another run or made by hand, which
    would otherwise fail in the middle of a step. The fit says what its own part looks like.
    """
    own: State = {"run_id": run_id, "rows": [], "seconds": 0.0, "tries": 1}
    if "codes" in state:  # not in those of earlier versions; petl/runs/code/tries.py checks it
        own["codes"] = state["codes"]
    if "threads" in state:
        own["threads"] = 1
    try:
        given = state["fit"]
        own["fit"] = fit.expected(given)
        own["rows"] = rows = state["rows"]
        _compare(state, own, "state")
        values = [type(value) for row in rows for value in row.values()]
        if (
            state["run_id"] != run_id
            or not 0 < state.get("threads", 1) <= MOST_THREADS
            or given["epoch"] != len(rows) + 1
            or [row["epoch"] for row in rows] != list(range(1, len(rows) + 1))
            or not set(values) <= {int, float}
            or given["epoch"] > fit.task.train.epochs + 1
        ):
            raise ValueError("a checkpoint of another run")
    except (LookupError, TypeError, AttributeError, RuntimeError):
        raise ValueError("not a checkpoint of this run") from None


def _compare(given: Any, own: Any, name: str) -> None:
    same = type(given) is type(own) or isinstance(own, Tensor | tuple)
    if isinstance(own, Tensor):
        given_is = (given.dtype, given.shape) if isinstance(given, Tensor) else None
        same = given_is == (own.dtype, own.shape)
    elif isinstance(own, dict):
        same = same and given.keys() == own.keys()
    elif isinstance(own, list | tuple):  # JSON has no tuples
        same = isinstance(given, list) and len(given) == len(own)
    if not same:
        raise ValueError(f"{name} is not as in this run")
    if isinstance(own, dict | list | tuple):
        for key in own if isinstance(own, dict) else range(len(own)):
            _compare(given[key], own[key], f"{name}.{key}")


def _digest(rest: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the JSON and of each tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(rest.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():
            digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def save_weights(
    run: RunDir,
    tensors: Mapping[str, Tensor],
    kind: str,
    epoch: int,
    check: Callable[[], object] = lambda: None,
) -> None:
    """weights.safetensors: the trained tensors alone; the rest comes from the backbone's source.

    All facts are under one metadata key, because safetensors writes several keys in any order and
    the same run should give the same bytes.
    """
    from safetensors.torch import save

    facts = json.dumps({"run_id": run.path.name, "weights": kind, "epoch": epoch})
    content = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(run.weights_file, save(content, {"petl": facts}), check=check)

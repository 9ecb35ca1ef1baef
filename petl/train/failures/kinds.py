"""The kinds of failure that a launcher can act on."""

from __future__ import annotations

from pathlib import Path

import torch

from petl.errors import UserError, fault_of, reason
from petl.runs.gpus import NoKernels


class Interrupted(Exception):
    """The run was asked to stop; its checkpoint holds what it has done."""


class Diverged(UserError):
    """The loss or the gradient is not finite."""


class Collapsed(UserError):
    """A generator's losses are finite, and its samples get no better any more."""


class OutOfMemory(UserError):
    """The batch does not fit."""


CLASSES = {
    Diverged: "diverged",
    Collapsed: "collapsed",
    OutOfMemory: "out-of-memory",
    NoKernels: "no-kernels",
}


def failure_class(error: BaseException) -> str:
    other = "bad-data" if isinstance(error, UserError) else "error"
    return CLASSES.get(type(error)) or fault_of(error) or other


def explained(error: OSError, folder: Path) -> UserError:
    """In one line: a fault of the disk, which passes, or a folder that cannot be used."""
    where, fault = error.filename or folder, fault_of(error)
    again = "start the run again: it continues from the last checkpoint"
    if fault == "disk-full":
        again = f"free some space and {again}"
    elif not fault:
        again = "petl cannot train in this folder, choose another one with --runs or PETL_RUNS"
    return UserError(f"{where}: {reason(error)}; {again}")


def is_out_of_memory(error: BaseException) -> bool:
    """A GPU's allocator has its own exception, a CPU's raises RuntimeError."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "not enough memory" in text or "can't allocate memory" in text
    )

"""The kinds of failure that a launcher can act on."""

from __future__ import annotations

import errno

import torch

from petl.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Interrupted(Exception):
    """The run was asked to stop; its checkpoint holds what it has done."""


class Diverged(UserError):
    """The loss or the gradient is not finite."""


class OutOfMemory(UserError):
    """The batch does not fit."""


class DiskFull(UserError):
    """A file could not be written; the one before it is still there."""


CLASSES = {Diverged: "diverged", OutOfMemory: "out-of-memory", DiskFull: "disk-full"}


def failure_class(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "disk-full"
    other = "bad-data" if isinstance(error, UserError) else "error"
    return CLASSES.get(type(error), other)


def is_out_of_memory(error: BaseException) -> bool:
    """A GPU's allocator has its own exception, a CPU's raises RuntimeError."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "not enough memory" in text or "can't allocate memory" in text
    )

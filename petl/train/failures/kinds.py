"""Why a run ends before its time, in classes that a launcher can act on."""

from __future__ import annotations

import errno

import torch

from petl.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Interrupted(Exception):
    """Somebody asked the run to stop; what it has done is in its checkpoint."""


class Diverged(UserError):
    """The loss or its gradient left the finite numbers; training on would only heat the room."""


class OutOfMemory(UserError):
    """The batch does not fit."""


class DiskFull(UserError):
    """What was to be written was not; what was there before still is."""


def failure_class(error: BaseException) -> str:
    classes: tuple[tuple[type[BaseException], str], ...] = (
        (Diverged, "diverged"),
        (OutOfMemory, "out-of-memory"),
        (DiskFull, "disk-full"),
        (UserError, "bad-data"),
    )
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "disk-full"
    return next((name for kind, name in classes if isinstance(error, kind)), "error")


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it in two ways, by the device."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and (
        "not enough memory" in said or "can't allocate memory" in said
    )

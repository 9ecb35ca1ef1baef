"""Errors for the user: one line that names the mistake and the nearest right answer."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in the user's input. The command line prints it as one line and exits with 2."""

    def __str__(self) -> str:
        """One line, also where it quotes text with a line break in it."""
        return " ".join(super().__str__().split())


def nearest(wrong: object, right: Iterable[str]) -> str:
    """`; did you mean 'epochs'?`, or all choices when none is close."""
    choices = sorted(set(right))
    close = difflib.get_close_matches(str(wrong), choices, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; it can be {', '.join(choices)}" if choices else ""


def several(number: int, what: str, plural: str = "") -> str:
    """`1 run`, `1,200 runs`, or with another plural `2 classes`."""
    return f"{number:,} {what if number == 1 else plural or f'{what}s'}"


FAULTS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "disk-full"),
    errno.EROFS: "read-only",
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN), "file-system"
    ),
}
"""What may go wrong with a disk that a run is on, by class: no fault of the run's own."""


def fault_of(error: BaseException | None) -> str:
    """The class of the fault of a disk that led to this error; empty if there was none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FAULTS:
            return FAULTS[error.errno]
        error = error.__cause__ or error.__context__
    return ""


def reason(error: BaseException) -> str:
    """The system's message for an OSError, in lower case: `no space left on device`."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()

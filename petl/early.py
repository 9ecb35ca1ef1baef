"""Ctrl-C while Python still imports: one line and exit code 130 instead of a traceback.

Nothing has begun then, so there is nothing to tidy up. This imports as little as it can.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

_came = False


def guard() -> None:
    """From here on Ctrl-C ends the process at once; where it is ignored, it stays ignored."""
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _remember):
        signal.signal(signal.SIGINT, _leave)


def release() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt again: the command may have to tidy up."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, _remember)


def interrupted() -> bool:
    """Has Ctrl-C come since? While torch is imported, it arrives as a RuntimeError."""
    return _came


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"petl: interrupted\n")
    os._exit(128 + number)


def _remember(number: int, frame: FrameType | None) -> None:
    global _came
    _came = True
    raise KeyboardInterrupt

"""A request to stop: it may come at any moment and is acted on at the next training step."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
"""Preemption, and a time limit that comes near. Sites send one or the other, or both, or twice."""


class Stop:
    """`stop()` tells whether one of the signals has come.

    The handler does nothing but remember, so it never cuts a write in two. A forked child inherits
    the handler and remembers for itself alone.
    """

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> Stop:
        for number in SIGNALS:
            signal.signal(number, self._remember)
        return self

    def __call__(self) -> bool:
        return self.requested

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

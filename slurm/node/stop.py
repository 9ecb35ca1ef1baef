"""A wish to stop, heard at any moment and acted on at the next step."""

from __future__ import annotations

import signal
from types import FrameType

INTERRUPTED = 75
"""The worker's exit code when its checkpoint is written and it wants to go on later."""
HOLD = 76
"""Its exit code when it failed as several before it did: the rest of the array should wait."""
WISHES = (signal.SIGTERM, signal.SIGUSR2)
"""Preemption, and a time limit that comes near: sites send one or the other, or both, or twice."""


class Stop:
    """Its handlers do nothing but remember: where they strike, nothing is cut in two.

    A forked child that inherits them remembers for itself alone.
    """

    def __init__(self) -> None:
        self.wished = False

    def listen(self) -> Stop:
        for number in WISHES:
            signal.signal(number, self._hear)
        return self

    def __call__(self) -> bool:
        return self.wished

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.wished = True

"""What a training tells while it goes on."""

from __future__ import annotations

from typing import Any

from torch import Tensor

EpochMetrics = dict[str, Any]
"""A line of metrics.jsonl."""
State = dict[str, Any]


class Watcher:
    """Called after every step, and after every epoch with its metrics. This one does nothing."""

    def step(self, fit: Any) -> None:
        pass

    def epoch(self, fit: Any, metrics: EpochMetrics) -> None:
        pass

    def batch(self) -> None:
        """After each batch of an evaluation."""

    def leave(self, weights: dict[str, Tensor], epoch: int) -> None:
        """What is left of a generator that cannot go on: its weights at the last good look."""

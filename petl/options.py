"""How a run is carried out. Nothing here changes its numbers, so nothing here is part of a task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    threads: int | None = None
    checkpoint_minutes: float = 10.0
    """So long at most between checkpoints; there is one after each epoch too."""
    track: tuple[str, ...] = ()
    """Where metrics go besides metrics.jsonl: tensorboard, wandb."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Options:
        return cls(**(said | {"track": tuple(said["track"])}))

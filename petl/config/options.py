"""How a run is carried out. Nothing here changes its numbers, so nothing here is part of a task."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from petl.errors import UserError, nearest

TRACKERS = ("tensorboard", "wandb")


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


def tracked() -> tuple[str, ...]:
    """What PETL_TRACK asks for, as in PETL_TRACK=tensorboard,wandb."""
    names = tuple(name.strip() for name in os.environ.get("PETL_TRACK", "").split(",") if name)
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"PETL_TRACK: there is no tracker '{name}'{nearest(name, TRACKERS)}")
    return names

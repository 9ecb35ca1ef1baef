"""How a run is executed. Nothing here changes its numbers, so it is not part of a task."""

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
    """The longest time between checkpoints; there is one after each epoch too."""
    track: tuple[str, ...] = ()
    """Where metrics go in addition to metrics.jsonl: tensorboard, wandb."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, options: dict[str, Any]) -> Options:
        return cls(**(options | {"track": tuple(options["track"])}))


def tracked() -> tuple[str, ...]:
    """The trackers named in PETL_TRACK, such as PETL_TRACK=tensorboard,wandb."""
    names = tuple(name.strip() for name in os.environ.get("PETL_TRACK", "").split(",") if name)
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"PETL_TRACK: there is no tracker '{name}'{nearest(name, TRACKERS)}")
    return names

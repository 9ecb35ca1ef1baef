"""The throttle: how many jobs of a study run at a time, over all of its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Share(NamedTuple):
    at_a_time: int
    follows: int | None = None
    """The array whose end it waits for, if there are more arrays than jobs at a time."""


def shares(throttle: int | None, sizes: Sequence[int]) -> list[Share]:
    """Each array's share, by its size and at least one; in total never more than the throttle.

    Slurm limits each array on its own (--array=0-99%4), so the shares must add up. With fewer jobs
    at a time than arrays, the first arrays get one each, and the others follow them in lanes.
    """
    if throttle is None:
        return [Share(size) for size in sizes]
    lanes = min(throttle, len(sizes))
    if lanes < len(sizes):
        return [Share(1, at - lanes if at >= lanes else None) for at in range(len(sizes))]
    parts = [max(1, throttle * size // sum(sizes)) for size in sizes]
    while sum(parts) > throttle:
        parts[parts.index(max(parts))] -= 1
    while sum(parts) < min(throttle, sum(sizes)):
        room = [size - part for size, part in zip(sizes, parts, strict=True)]
        parts[room.index(max(room))] += 1
    return [Share(min(part, size)) for part, size in zip(parts, sizes, strict=True)]

"""So many jobs of a study at a time, however many arrays they are spread over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Share(NamedTuple):
    at_a_time: int
    follows: int | None = None
    """The array whose end it waits for, where there are more arrays than jobs at a time."""


def shares(throttle: int | None, sizes: Sequence[int]) -> list[Share]:
    """To each array its part by size, at least one; together never more than the throttle."""
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

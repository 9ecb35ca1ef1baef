"""Boxes in series and side by side: how a model is told to whoever draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Box:
    """Either something that computes, or how such things go together: `parts`.

    line     what goes through unchanged      steps   one part after the other
    map      learned: a linear map, ...       total   all parts read the same; their sum
    norm     a LayerNorm                      meet    all parts read the same; then `name`
    vector   learned, not a map               frame   steps with a name
    op       nothing is learned               tokens  side by side in a sequence
    idle     computed and thrown away
    again    a result that was already there

    Parameters are counted where they stand: those of the parts are not among its own.
    """

    name: str = ""
    kind: str = "map"
    note: str = ""
    parts: tuple[Box, ...] = ()
    times: int = 1
    trained: int = 0
    frozen: int = 0
    which: str = ""
    added: bool = False

    @property
    def train(self) -> int:
        """How many parameters train, its parts' included."""
        return self.trained + sum(part.train for part in self.parts)

    def any(self, test: Callable[[Box], bool]) -> bool:
        """Is one of them so, it or a part of it?"""
        return test(self) or any(part.any(test) for part in self.parts)


LINE = Box(kind="line")
TIMES = "\N{MULTIPLICATION SIGN}"


def steps(*parts: Box) -> Box:
    flat = [p for part in parts for p in (part.parts if part.kind == "steps" else (part,))]
    return Box(kind="steps", parts=tuple(flat))


def total(*parts: Box) -> Box:
    return Box(kind="total", parts=parts)


def meet(name: str, *parts: Box) -> Box:
    return Box(name, "meet", parts=parts)


def frame(name: str, *parts: Box) -> Box:
    return Box(name, "frame", parts=(steps(*parts),))


def tokens(*before: Box, rest: str = "patches") -> Box:
    """A sequence; `rest` is what the input became, as many as there happen to be."""
    return Box(kind="tokens", parts=(*before, Box(rest, times=0)))


def added(box: Box) -> Box:
    """By the method; the backbone did not have it."""
    return replace(box, added=True, parts=tuple(map(added, box.parts)))


def scaled(box: Box, times: int) -> Box:
    """So many of the same, told once."""
    parts = tuple(scaled(part, times) for part in box.parts)
    return replace(box, trained=box.trained * times, frozen=box.frozen * times, parts=parts)

"""A model as boxes, in series and in parallel: what `petl draw` draws.

A module with its own look has a method `boxes(name) -> Box`. A module for an attention's `qkv` has
`qkv_boxes()`: one box each for queries, keys and values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn


@dataclass(frozen=True)
class Box:
    """Either something that computes, or a combination of `parts`.

    line     passes its input on               steps   one part after the other
    map      learned: a linear map, ...        total   the same input to all; their sum
    norm     a LayerNorm                       meet    the same input to all; then `name`
    vector   learned, not a map                frame   steps with a name
    op       nothing is learned                tokens  side by side in a sequence
    idle     computed, and its result unused
    again    a result from an earlier box

    A box counts its own parameters, without those of its parts.
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
        """How many parameters train, including those of its parts."""
        return self.trained + sum(part.train for part in self.parts)

    def any(self, test: Callable[[Box], bool]) -> bool:
        """Is the test true for this box or for any part of it?"""
        return test(self) or any(part.any(test) for part in self.parts)


Triple = tuple[Box, ...]
"""For queries, keys and values."""

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
    """A sequence of tokens; `rest` are those made from the input, any number of them."""
    return Box(kind="tokens", parts=(*before, Box(rest, times=0)))


def added(box: Box) -> Box:
    """Mark a box as part of the method, not of the backbone."""
    return replace(box, added=True, parts=tuple(map(added, box.parts)))


def scaled(box: Box, times: int) -> Box:
    """One box for several equal modules, with the parameters of all."""
    parts = tuple(scaled(part, times) for part in box.parts)
    return replace(box, trained=box.trained * times, frozen=box.frozen * times, parts=parts)


def leaf(module: nn.Module, name: str, note: str = "", kind: str = "map") -> Box:
    """One box for a whole module; if only a part of it trains, `which` says what."""
    parameters = dict(module.named_parameters())
    trained = {name: p.numel() for name, p in parameters.items() if p.requires_grad}
    count, whole = sum(trained.values()), sum(p.numel() for p in parameters.values())
    which = ", ".join(trained) if 0 < count < whole else ""
    return Box(name, kind, note, trained=count, frozen=whole - count, which=which)


def vector(name: str, parameter: nn.Parameter, note: str = "") -> Box:
    return added(Box(name, "vector", note, trained=parameter.numel()))


def boxes_of(module: nn.Module, name: str = "") -> Box:
    """What a module does with its input, as the module describes itself."""
    if hasattr(module, "boxes"):
        return module.boxes(name)
    if isinstance(module, nn.Identity | nn.Dropout):
        return LINE
    if isinstance(module, nn.GELU | nn.Sigmoid):
        return Box(type(module).__name__, "op")
    if isinstance(module, nn.LayerNorm):
        return leaf(module, "LayerNorm", kind="norm")
    if isinstance(module, nn.Linear):
        return leaf(module, name, f"{module.in_features:,} → {module.out_features:,}")
    return leaf(module, name or type(module).__name__)

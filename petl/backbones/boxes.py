"""A model as boxes, in series and side by side: what `petl draw` draws.

A module that has a say in it has a method `boxes(name) -> Box`; what stands in an attention's `qkv`
has `qkv_boxes()`, with one box each for the queries, the keys and the values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn


@dataclass(frozen=True)
class Box:
    """Either something that computes, or how such things go together: `parts`.

    line     passes its input on               steps   one part after the other
    map      learned: a linear map, ...        total   all parts read the same; their sum
    norm     a LayerNorm                       meet    all parts read the same; then `name`
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
        """How many parameters train, its parts' included."""
        return self.trained + sum(part.train for part in self.parts)

    def any(self, test: Callable[[Box], bool]) -> bool:
        """Does the test hold for this box or any part of it?"""
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
    """A sequence; `rest` are the tokens made of the input, of whatever number."""
    return Box(kind="tokens", parts=(*before, Box(rest, times=0)))


def added(box: Box) -> Box:
    """A box of the method, not of the backbone."""
    return replace(box, added=True, parts=tuple(map(added, box.parts)))


def scaled(box: Box, times: int) -> Box:
    """One box for several equal modules: it has the parameters of all."""
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
    """What a module does from its input to its output, as it describes itself."""
    if hasattr(module, "boxes"):
        return module.boxes(name)
    if isinstance(module, nn.Identity):
        return LINE
    if isinstance(module, nn.LayerNorm):
        return leaf(module, "LayerNorm", kind="norm")
    if isinstance(module, nn.Linear):
        return leaf(module, name, f"{module.in_features:,} → {module.out_features:,}")
    return leaf(module, name or type(module).__name__)

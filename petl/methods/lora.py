"""Updates of low rank beside the attention's frozen projections.

    LoRA    W + s B A
    DoRA    m (W + s B A) / |W + s B A|, row by row

DoRA turns each row of a weight and learns the row's length m apart. As its authors advise, no
gradient flows through the length in the denominator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import TIMES, Box, Triple, added, boxes_of, frame, steps, total, vector
from petl.backbones.encoder import Encoder, Wrapper, attach, unwrap
from petl.backbones.lean import project
from petl.methods import init, where
from petl.methods.blocks import width


def apply(encoder: Encoder, method: config.LowRank) -> None:
    hidden = encoder.shape.hidden

    def make(weight: Tensor) -> Update | Turned:
        if isinstance(method, config.DoRA):
            return Turned(hidden, method, weight)
        return Update(hidden, method)

    targets = [t for t in "qkv" if t in method.targets]
    for layer in where.layers(encoder, method.layers):
        if targets:
            attach(layer, "qkv", partial(OnProjections, make=make, targets=targets))
        if "o" in method.targets:
            attach(layer, "out", partial(OnOutput, make=make))


class Update(nn.Module):
    """LoRA of one projection."""

    names = ("updates", "update")
    """Of the attributes that hold several and one, and so of the tensors in a weights file."""

    def __init__(self, hidden: int, method: config.LowRank):
        super().__init__()
        rank = width(hidden, method.reduction)
        self.scale = scale_of(method, rank)
        self.down = nn.Linear(hidden, rank, bias=False)
        self.up = nn.Linear(rank, hidden, bias=False)
        if method.init == "normal":
            init.normal(self.down, self.up)
        else:
            init.default(self.down)
            init.zero(self.up)

    def forward(self, h: Tensor, out: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """What becomes of `out`, which the projection made of h with this weight and bias."""
        return out + self.added(h)

    def added(self, h: Tensor) -> Tensor:
        return self.up(project(h, self.down.weight)) * self.scale

    def folded(self, weight: Tensor) -> Tensor:
        return weight + self.up.weight @ self.down.weight * self.scale

    def boxes_around(self, box: Box) -> Box:
        scale = Box(f"{TIMES} {self.scale:g}", "op")
        update = frame("LoRA", boxes_of(self.down, "A"), boxes_of(self.up, "B"), scale)
        return total(box, added(update))


def scale_of(method: config.LowRank, rank: int) -> float:
    """With an alpha, the released code divides it by the reduction, others by the rank."""
    if not isinstance(method.scale, str):
        return method.scale
    return method.alpha / {"alpha/reduction": method.reduction, "alpha/rank": rank}[method.scale]


class Turned(nn.Module):
    """DoRA of one projection."""

    names = ("turned", "turned")

    def __init__(self, hidden: int, method: config.DoRA, weight: Tensor):
        super().__init__()
        self.update = Update(hidden, method)
        self.length = nn.Parameter(weight.detach().norm(dim=1))

    def gain(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            now = self.update.folded(weight).norm(dim=1)
        return self.length / now

    def forward(self, h: Tensor, out: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        product = out if bias is None else out - bias
        turned = self.gain(weight) * (product + self.update.added(h))
        return turned if bias is None else turned + bias

    def folded(self, weight: Tensor) -> Tensor:
        return self.gain(weight)[:, None] * self.update.folded(weight)

    def boxes_around(self, box: Box) -> Box:
        return steps(
            self.update.boxes_around(box), vector("length", self.length, note="of each row")
        )


Make = Callable[[Tensor], "Update | Turned"]


class OnProjections(Wrapper):
    """Around q, k and v, which come from one matrix product: each has a third of its rows."""

    def __init__(self, inner: nn.Module, make: Make, targets: list[str]):
        super().__init__(inner)
        made = nn.ModuleDict({name: make(self._rows()[name][0]) for name in targets})
        self.held_as = made[targets[0]].names[0]
        self.add_module(self.held_as, made)

    @property
    def made(self) -> nn.ModuleDict:
        return getattr(self, self.held_as)

    def _rows(self) -> dict[str, tuple[Tensor, Tensor | None]]:
        linear = unwrap(self.inner).linear
        biases = (None,) * 3 if linear.bias is None else linear.bias.chunk(3)
        return dict(zip("qkv", zip(linear.weight.chunk(3), biases, strict=True), strict=True))

    def forward(self, h: Tensor) -> tuple[Tensor, ...]:
        made, rows = self.made, self._rows()
        return tuple(
            made[name](h, out, *rows[name]) if name in made else out
            for name, out in zip("qkv", self.inner(h), strict=True)
        )

    @torch.no_grad()
    def fold(self) -> nn.Module:
        for name, update in self.made.items():
            weight, _ = self._rows()[name]
            weight.copy_(update.folded(weight))
        return self.inner

    def qkv_boxes(self) -> Triple:
        made, pairs = self.made, zip("qkv", self.inner.qkv_boxes(), strict=True)
        return tuple(made[name].boxes_around(box) if name in made else box for name, box in pairs)


class OnOutput(Wrapper):
    def __init__(self, inner: nn.Module, make: Make):
        super().__init__(inner)
        made = make(unwrap(inner).weight)
        self.held_as = made.names[1]
        self.add_module(self.held_as, made)

    @property
    def made(self) -> nn.Module:
        return getattr(self, self.held_as)

    def forward(self, h: Tensor) -> Tensor:
        linear = unwrap(self.inner)
        return self.made(h, self.inner(h), linear.weight, linear.bias)

    @torch.no_grad()
    def fold(self) -> nn.Module:
        self.inner.weight.copy_(self.made.folded(self.inner.weight))
        return self.inner

    def boxes(self, name: str) -> Box:
        return self.made.boxes_around(boxes_of(self.inner, name))

"""LoRA: a low-rank update beside a frozen projection, W h + scale * B A h."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.backbones.lean import project
from petl.methods import init, where
from petl.methods.blocks import width


class Update(nn.Module):
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

    def forward(self, h: Tensor) -> Tensor:
        return self.up(project(h, self.down.weight)) * self.scale

    def weight(self) -> Tensor:
        """What it adds to the projection's weight."""
        return self.up.weight @ self.down.weight * self.scale


def scale_of(method: config.LowRank, rank: int) -> float:
    """The released code divides alpha by the reduction, everybody else by the rank."""
    if isinstance(method.scale, str):
        return (
            method.alpha / {"alpha/reduction": method.reduction, "alpha/rank": rank}[method.scale]
        )
    return method.scale


class OnProjections(Wrapper):
    """Updates of any of q, k, v."""

    def __init__(self, inner: nn.Module, updates: dict[str, Update]):
        super().__init__(inner)
        self.updates = nn.ModuleDict(updates)

    def forward(self, h: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            t + self.updates[name](h) if name in self.updates else t
            for name, t in zip("qkv", self.inner(h), strict=True)
        )

    @torch.no_grad()
    def fold(self) -> nn.Module:
        rows = dict(zip("qkv", self.inner.linear.weight.chunk(3), strict=True))
        for name, update in self.updates.items():
            rows[name] += update.weight()
        return self.inner


class OnOutput(Wrapper):
    def __init__(self, inner: nn.Module, update: Update):
        super().__init__(inner)
        self.update = update

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h) + self.update(h)

    @torch.no_grad()
    def fold(self) -> nn.Module:
        self.inner.weight += self.update.weight()
        return self.inner


def lora(encoder: Encoder, method: config.LoRA) -> None:
    hidden = encoder.shape.hidden
    for layer in where.layers(encoder, method.layers):
        updates = {t: Update(hidden, method) for t in "qkv" if t in method.targets}
        if updates:
            attach(layer, "qkv", partial(OnProjections, updates=updates))
        if "o" in method.targets:
            attach(layer, "out", partial(OnOutput, update=Update(hidden, method)))

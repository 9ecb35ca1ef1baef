"""DoRA: a low-rank update turns each row of a weight, and the row's length is learned apart.

    m (W + scale B A) / |W + scale B A|, row by row

As its authors advise, no gradient flows through the length in the denominator.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach, unwrap
from petl.methods import where
from petl.methods.lora import Update


class Turned(nn.Module):
    """The update of one projection; its weight stays where it was and is handed in."""

    def __init__(self, hidden: int, method: config.DoRA, weight: Tensor):
        super().__init__()
        self.update = Update(hidden, method)
        self.length = nn.Parameter(weight.detach().norm(dim=1))

    def gain(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            now = (weight + self.update.weight()).norm(dim=1)
        return self.length / now

    def forward(self, h: Tensor, out: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """`out` is what the projection made of h, its bias included."""
        product = out if bias is None else out - bias
        turned = self.gain(weight) * (product + self.update(h))
        return turned if bias is None else turned + bias

    def weight(self, weight: Tensor) -> Tensor:
        return self.gain(weight)[:, None] * (weight + self.update.weight())


class OnProjections(Wrapper):
    """Any of q, k, v."""

    def __init__(self, inner: nn.Module, targets: list[str], method: config.DoRA, hidden: int):
        super().__init__(inner)
        rows = self._rows()
        self.turned = nn.ModuleDict({t: Turned(hidden, method, rows[t][0]) for t in targets})

    def _rows(self) -> dict[str, tuple[Tensor, Tensor | None]]:
        linear = unwrap(self.inner).linear
        biases = (None,) * 3 if linear.bias is None else linear.bias.chunk(3)
        return dict(zip("qkv", zip(linear.weight.chunk(3), biases, strict=True), strict=True))

    def forward(self, h: Tensor) -> tuple[Tensor, ...]:
        rows = self._rows()
        return tuple(
            self.turned[name](h, out, *rows[name]) if name in self.turned else out
            for name, out in zip("qkv", self.inner(h), strict=True)
        )

    @torch.no_grad()
    def fold(self) -> nn.Module:
        rows = self._rows()
        for name, turned in self.turned.items():
            rows[name][0].copy_(turned.weight(rows[name][0]))
        return self.inner


class OnOutput(Wrapper):
    def __init__(self, inner: nn.Module, method: config.DoRA, hidden: int):
        super().__init__(inner)
        self.turned = Turned(hidden, method, unwrap(inner).weight)

    def forward(self, h: Tensor) -> Tensor:
        linear = unwrap(self.inner)
        return self.turned(h, self.inner(h), linear.weight, linear.bias)

    @torch.no_grad()
    def fold(self) -> nn.Module:
        self.inner.weight.copy_(self.turned.weight(self.inner.weight))
        return self.inner


def dora(encoder: Encoder, method: config.DoRA) -> None:
    make = {"method": method, "hidden": encoder.shape.hidden}
    targets = [t for t in "qkv" if t in method.targets]
    for layer in where.layers(encoder, method.layers):
        if targets:
            attach(layer, "qkv", partial(OnProjections, targets=targets, **make))
        if "o" in method.targets:
            attach(layer, "out", partial(OnOutput, **make))

"""(IA)3: keys, values and the inside of the feed-forward network, each times a learned vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import Box, Triple, boxes_of, steps, vector
from petl.backbones.encoder import Encoder, Wrapper, attach, unwrap
from petl.methods import where


def apply(encoder: Encoder, method: config.IA3) -> None:
    for layer in where.layers(encoder, method.layers):
        attach(layer, "qkv", ScaleKeysValues)
        where.put(unwrap(layer.ffn), "down", ScaleInside)


class ScaleKeysValues(Wrapper):
    def __init__(self, inner: nn.Module):
        super().__init__(inner)
        size = unwrap(inner).linear.weight.shape[0] // 3
        self.keys = nn.Parameter(torch.ones(size))
        self.values = nn.Parameter(torch.ones(size))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.inner(h)
        return q, k * self.keys, v * self.values

    @torch.no_grad()
    def fold(self) -> nn.Module:
        linear = self.inner.linear
        gain = torch.cat([torch.ones_like(self.keys), self.keys, self.values])
        linear.weight *= gain[:, None]
        if linear.bias is not None:
            linear.bias *= gain
        return self.inner

    def qkv_boxes(self) -> Triple:
        q, k, v = self.inner.qkv_boxes()
        return q, steps(k, vector("⊙ keys", self.keys)), steps(v, vector("⊙ values", self.values))


class ScaleInside(Wrapper):
    """Around the map that leads out of the feed-forward network."""

    def __init__(self, inner: nn.Module):
        super().__init__(inner)
        self.inside = nn.Parameter(torch.ones(unwrap(inner).weight.shape[1]))

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h * self.inside)

    @torch.no_grad()
    def fold(self) -> nn.Module:
        self.inner.weight *= self.inside
        return self.inner

    def boxes(self, name: str) -> Box:
        return steps(vector("⊙ inside", self.inside), boxes_of(self.inner, name))

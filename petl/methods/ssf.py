"""SSF: every LayerNorm and linear map of a layer has its output scaled and shifted, g x + b."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, unwrap
from petl.methods import where


def apply(encoder: Encoder, method: config.SSF) -> None:
    for layer in where.layers(encoder, method.layers):
        attention, ffn = unwrap(layer.attention), unwrap(layer.ffn)
        for owner, names in (
            (layer, ("norm_attention", "norm_ffn")),
            (attention, ("qkv", "out")),
            (ffn, ("up", "down")),
        ):
            for name in names:
                where.put(owner, name, ScaleShift)


class ScaleShift(Wrapper):
    """Around a LayerNorm, a Linear, or the projections to queries, keys and values."""

    label = "⊙ scale + shift"

    def __init__(self, inner: nn.Module):
        super().__init__(inner)
        size = self._map(unwrap(inner)).weight.shape[0]
        self.scale = nn.Parameter(torch.empty(size).normal_(1, 0.02))
        self.shift = nn.Parameter(torch.empty(size).normal_(0, 0.02))

    @staticmethod
    def _map(inner: nn.Module) -> nn.Module:
        return getattr(inner, "linear", inner)

    def forward(self, h: Tensor) -> Tensor | tuple[Tensor, ...]:
        out = self.inner(h)
        if isinstance(out, Tensor):
            return out * self.scale + self.shift
        triples = zip(out, self.scale.chunk(3), self.shift.chunk(3), strict=True)
        return tuple(t * scale + shift for t, scale, shift in triples)

    @torch.no_grad()
    def fold(self) -> nn.Module:
        """g (W x + c) + b = (g W) x + (g c + b), row by row."""
        inner = self._map(self.inner)
        inner.weight *= self.scale.reshape(-1, *[1] * (inner.weight.ndim - 1))
        bias = 0 if inner.bias is None else inner.bias * self.scale
        inner.bias = nn.Parameter(bias + self.shift, requires_grad=False)
        return self.inner

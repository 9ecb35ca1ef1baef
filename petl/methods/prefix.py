"""Prefix tuning: learned keys and values that every query may attend to, placed behind CLS."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.methods import init, where


class InsertKeysValues(Wrapper):
    def __init__(self, inner: nn.Module, count: int, hidden: int):
        super().__init__(inner)
        self.keys = init.tokens(count, hidden)
        self.values = init.tokens(count, hidden)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.inner(h)
        return q, _behind_first(k, self.keys), _behind_first(v, self.values)


def _behind_first(t: Tensor, new: Tensor) -> Tensor:
    return torch.cat([t[:, :1], new.expand(len(t), -1, -1), t[:, 1:]], dim=1)


def prefix(encoder: Encoder, method: config.Prefix) -> None:
    make = partial(InsertKeysValues, count=method.length // 2, hidden=encoder.shape.hidden)
    for layer in where.layers(encoder, method.layers):
        attach(layer, "qkv", make)

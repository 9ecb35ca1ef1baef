"""Prompt tuning: learned tokens among the input's, once (shallow) or renewed at layers (deep)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach_layer, attach_tokens
from petl.methods import init, where


class InsertPrompts(Wrapper):
    """CLS, prompts, patches: the distillation token gives way, as in the released code."""

    def __init__(self, inner: nn.Module, count: int, hidden: int, special: int):
        super().__init__(inner)
        self.prompts = init.tokens(count, hidden)
        self.special = special

    def insert(self, h: Tensor) -> Tensor:
        prompts = self.prompts.expand(len(h), -1, -1)
        return torch.cat([h[:, :1], prompts, h[:, self.special :]], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.insert(self.inner(x))


class InsertBefore(InsertPrompts):
    """The same before a later layer, where deep prompts do not begin with the first."""

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(self.insert(h))


class RenewPrompts(Wrapper):
    """A layer that reads fresh prompts in place of what the layer before made of the old ones."""

    def __init__(self, inner: nn.Module, count: int, hidden: int):
        super().__init__(inner)
        self.prompts = init.tokens(count, hidden)

    def forward(self, h: Tensor) -> Tensor:
        count = self.prompts.shape[1]
        prompts = self.prompts.expand(len(h), -1, -1)
        return self.inner(torch.cat([h[:, :1], prompts, h[:, 1 + count :]], dim=1))


def prompt(encoder: Encoder, method: config.Prompt) -> None:
    make = {"count": method.length, "hidden": encoder.shape.hidden}
    first, *others = where.indices(encoder, method.layers)
    if first == 0:
        attach_tokens(encoder, partial(InsertPrompts, special=encoder.special, **make))
    else:
        attach_layer(encoder, first, partial(InsertBefore, special=encoder.special, **make))
    for index in others if method.depth == "deep" else ():
        attach_layer(encoder, index, partial(RenewPrompts, **make))

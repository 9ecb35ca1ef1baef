"""Learned tokens among the input's (prompts), and learned keys and values (prefixes)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import Box, Triple, boxes_of, steps, tokens, vector
from petl.backbones.encoder import Encoder, Wrapper, attach, attach_layer, attach_tokens
from petl.methods import init, where


def apply(encoder: Encoder, method: config.Prompt | config.Prefix) -> None:
    hidden = encoder.shape.hidden
    if isinstance(method, config.Prefix):
        for layer in where.layers(encoder, method.layers):
            attach(layer, "qkv", partial(InsertKeysValues, count=method.length // 2, hidden=hidden))
        return
    make = {"count": method.length, "hidden": hidden}
    first, *others = where.indices(encoder, method.layers)
    if first == 0:
        attach_tokens(encoder, partial(InsertPrompts, special=encoder.special, **make))
    else:
        attach_layer(encoder, first, partial(InsertBefore, special=encoder.special, **make))
    for index in others if method.depth == "deep" else ():
        attach_layer(encoder, index, partial(RenewPrompts, **make))


def behind_first(t: Tensor, new: Tensor, skip: int = 1) -> Tensor:
    """The first token, CLS, then the new ones, then the others from `skip` on."""
    return torch.cat([t[:, :1], new.expand(len(t), -1, -1), t[:, skip:]], dim=1)


class WithPrompts(Wrapper):
    def __init__(self, inner: nn.Module, count: int, hidden: int, special: int = 1):
        super().__init__(inner)
        self.prompts = init.tokens(count, hidden)
        self.special = special

    def own_box(self, share: int = 1) -> Box:
        count = self.prompts.shape[1]
        return tokens(Box("CLS"), replace(vector(f"{count} prompts", self.prompts), times=count))


class InsertPrompts(WithPrompts):
    """CLS, prompts, patches: prompts replace the distillation token, as in the released code."""

    def forward(self, x: Tensor) -> Tensor:
        return behind_first(self.inner(x), self.prompts, self.special)


class InsertBefore(WithPrompts):
    """The same before a later layer, where deep prompts do not begin with the first."""

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(behind_first(h, self.prompts, self.special))

    def boxes(self, name: str) -> Box:
        return steps(self.own_box(), boxes_of(self.inner, name))


class RenewPrompts(InsertBefore):
    """A layer that reads new prompts in place of the previous layer's outputs for the old ones."""

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(behind_first(h, self.prompts, 1 + self.prompts.shape[1]))


class InsertKeysValues(Wrapper):
    """Keys and values that every query may attend to, behind those of CLS."""

    def __init__(self, inner: nn.Module, count: int, hidden: int):
        super().__init__(inner)
        self.keys = init.tokens(count, hidden)
        self.values = init.tokens(count, hidden)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.inner(h)
        return q, behind_first(k, self.keys), behind_first(v, self.values)

    def qkv_boxes(self) -> Triple:
        q, k, v = self.inner.qkv_boxes()
        count = self.keys.shape[1]
        keys, values = vector(f"{count} keys", self.keys), vector(f"{count} values", self.values)
        return q, steps(k, keys), steps(v, values)

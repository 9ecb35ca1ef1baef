"""Prompt tuning: learned tokens among the input's, once (shallow) or renewed at every layer (deep)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach_layer, attach_tokens
from petl.methods import init


class InsertPrompts(Wrapper):
    """CLS, prompts, patches: the distillation token gives way, as in the released code."""

    def __init__(self, inner: nn.Module, count: int, hidden: int):
        super().__init__(inner)
        self.prompts = init.tokens(count, hidden)

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x)
        prompts = self.prompts.expand(len(h), -1, -1)
        return torch.cat([h[:, :1], prompts, h[:, 2:]], dim=1)


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
    attach_tokens(encoder, partial(InsertPrompts, **make))
    if method.depth == "deep":
        for index in range(1, encoder.shape.layers):
            attach_layer(encoder, index, partial(RenewPrompts, **make))

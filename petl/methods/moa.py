"""Mixtures of adapters: several blocks in parallel to a branch, mixed token by token.

Dense-MoA weighs every expert for every token. Soft-MoA gives each expert a few slots, weighted
means of all tokens, and each token a weighted mean of what the experts make of their slots.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.methods import blocks, init, where
from petl.methods.adapter import Parallel
from petl.methods.gate import gated


class Dense(nn.Module):
    def __init__(self, encoder: Encoder, method: config.DenseMoA):
        super().__init__()
        self.router = nn.Linear(encoder.shape.hidden, method.experts)
        init.normal(self.router)
        self.experts = nn.ModuleList(
            blocks.make(encoder, method.block) for _ in range(method.experts)
        )

    def forward(self, h: Tensor) -> Tensor:
        weights = self.router(h).softmax(dim=-1).unsqueeze(-1).unbind(dim=-2)
        return sum(w * expert(h) for w, expert in zip(weights, self.experts, strict=True))


class Soft(nn.Module):
    def __init__(self, encoder: Encoder, method: config.SoftMoA):
        super().__init__()
        self.normalise = method.normalise
        self.experts = nn.ModuleList(
            blocks.make(encoder, method.block) for _ in range(method.experts)
        )
        self.slots = nn.Parameter(torch.empty(encoder.shape.hidden, method.experts, method.slots))
        nn.init.xavier_normal_(self.slots)
        if self.normalise != "none":
            self.scale = nn.Parameter(torch.ones(()))

    def forward(self, h: Tensor) -> Tensor:
        tokens, slots = h, self.slots
        if self.normalise != "none":
            over = {"experts": 1, "features": 0}[self.normalise]
            tokens, slots = unit(h, -1), unit(slots, over) * self.scale
        logits = tokens @ slots.flatten(1)  # batch, tokens, experts x slots
        read = tokens if self.normalise == "experts" else h
        inputs = logits.softmax(dim=1).transpose(1, 2) @ read
        inputs = inputs.unflatten(1, slots.shape[1:]).unbind(dim=1)
        outputs = [expert(x) for expert, x in zip(self.experts, inputs, strict=True)]
        return logits.softmax(dim=2) @ torch.cat(outputs, dim=1)


def unit(x: Tensor, dim: int) -> Tensor:
    return x / (x.norm(dim=dim, keepdim=True) + 1e-6)


class Keeping(Parallel):
    """f(h) + A(h), and A(h) is kept for whom it may concern, once."""

    def __init__(self, inner: nn.Module, block: nn.Module, kept: list[Tensor]):
        super().__init__(inner, block, residual=False)
        self.kept = kept

    def forward(self, h: Tensor) -> Tensor:
        added = self.block(h)
        self.kept[:] = [added]
        return self.inner(h) + added


class AddKept(Wrapper):
    """f(h) and what was kept."""

    def __init__(self, inner: nn.Module, kept: list[Tensor]):
        super().__init__(inner)
        self.kept = kept

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h) + self.kept.pop()


def moa(encoder: Encoder, method: config.Mixture, mixture: type[Dense] | type[Soft]) -> None:
    chosen = where.places(method.placement)
    twice = method.attention_output == "twice" and "ffn" not in chosen
    for layer in where.layers(encoder, method.layers):
        for place in chosen:
            block = gated(mixture(encoder, method), method.gate, encoder.shape.hidden)
            if twice:
                kept: list[Tensor] = []
                attach(layer, place, partial(Keeping, block=block, kept=kept))
                attach(layer, "ffn", partial(AddKept, kept=kept))
            else:
                attach(layer, place, partial(Parallel, block=block, residual=False))
            getattr(layer, f"norm_{place}").requires_grad_(True)


dense_moa = partial(moa, mixture=Dense)
soft_moa = partial(moa, mixture=Soft)

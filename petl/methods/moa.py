"""Mixtures of adapters: several blocks in parallel to a branch, mixed token by token.

Dense-MoA weighs every expert for every token. Soft-MoA gives each expert a few slots, weighted
means of all tokens, and each token a weighted mean of what the experts make of their slots.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import TIMES, Box, boxes_of, frame, meet, scaled, total, vector
from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.methods import blocks, init, where
from petl.methods.adapter import Parallel
from petl.methods.gate import gated


def apply(encoder: Encoder, method: config.DenseMoA | config.SoftMoA) -> None:
    mixture = Dense if isinstance(method, config.DenseMoA) else Soft
    chosen = where.branches(method.placement)
    twice = method.attention_output == "twice" and "ffn" not in chosen
    for layer in where.layers(encoder, method.layers):
        for branch in chosen:
            block = gated(mixture(encoder, method), method.gate, encoder.shape.hidden)
            if twice:
                kept: list[Tensor] = []
                attach(layer, branch, partial(Keeping, block=block, kept=kept))
                attach(layer, "ffn", partial(AddKept, kept=kept))
            else:
                attach(layer, branch, partial(Parallel, block=block, residual=False))
            getattr(layer, f"norm_{branch}").requires_grad_(True)


def experts(encoder: Encoder, method: config.Mixture) -> nn.ModuleList:
    return nn.ModuleList(blocks.make(encoder, method.block) for _ in range(method.experts))


def experts_box(experts: nn.ModuleList) -> Box:
    count = len(experts)
    return replace(scaled(boxes_of(experts[0]), count), name=f"{count} experts", times=count)


class Dense(nn.Module):
    def __init__(self, encoder: Encoder, method: config.DenseMoA):
        super().__init__()
        self.router = nn.Linear(encoder.shape.hidden, method.experts)
        init.normal(self.router)
        self.experts = experts(encoder, method)

    def forward(self, h: Tensor) -> Tensor:
        weights = self.router(h).softmax(dim=-1).unsqueeze(-1).unbind(dim=-2)
        return sum(w * expert(h) for w, expert in zip(weights, self.experts, strict=True))

    def boxes(self, name: str) -> Box:
        router = boxes_of(self.router, "router")
        mixed = meet("experts, weighted for each token", experts_box(self.experts), router)
        return frame("Dense-MoA", mixed)


class Soft(nn.Module):
    def __init__(self, encoder: Encoder, method: config.SoftMoA):
        super().__init__()
        self.normalise = method.normalise
        self.experts = experts(encoder, method)
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

    def boxes(self, name: str) -> Box:
        count, each = self.slots.shape[1:]
        slots = vector("slots", self.slots, note=f"{count} {TIMES} {each} means of tokens")
        scale = [vector("scale", self.scale)] if self.normalise != "none" else []
        back = Box("each token a mean of slots", "op")
        return frame("Soft-MoA", *scale, slots, experts_box(self.experts), back)


def unit(x: Tensor, dim: int) -> Tensor:
    return x / (x.norm(dim=dim, keepdim=True) + 1e-6)


class Keeping(Parallel):
    """f(h) + A(h), and A(h) is kept for the AddKept that runs next."""

    def __init__(self, inner: nn.Module, block: nn.Module, kept: list[Tensor]):
        super().__init__(inner, block, residual=False)
        self.kept = kept

    def forward(self, h: Tensor) -> Tensor:
        added = self.block(h)
        self.kept[:] = [added]
        return self.inner(h) + added


class AddKept(Wrapper):
    """f(h) + what was kept."""

    def __init__(self, inner: nn.Module, kept: list[Tensor]):
        super().__init__(inner)
        self.kept = kept

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h) + self.kept.pop()

    def boxes(self, name: str) -> Box:
        kept = Box("what the attention's mixture added", "again")
        return total(boxes_of(self.inner, name), kept)

"""A new encoder with random weights: to pre-train, and to see what pre-training is worth."""

from __future__ import annotations

from typing import Any

from torch import nn

from petl.backbones import ast
from petl.backbones.encoder import Encoder, Origin


def fresh(c: dict[str, Any]) -> Encoder:
    """An AST of this config.json's shape. It uses the global random generator: seed it first."""
    encoder = ast.make(c, None)
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    tokens = encoder.tokens
    for token in (tokens.cls, tokens.dist, tokens.position):
        nn.init.trunc_normal_(token, std=0.02)
    nn.init.normal_(tokens.patch.weight, std=0.1)  # spectrograms are small numbers here
    nn.init.zeros_(tokens.patch.bias)
    encoder.origin = Origin("new", taken=0, dropped={}, new=("all tensors",))
    return encoder

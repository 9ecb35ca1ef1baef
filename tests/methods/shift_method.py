"""A whole method in one file, which test_add_a_method.py adds: a learned vector after each branch.

Its settings are outside of petl.config.methods, so petl looks for `apply` in this file.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.config.methods.base import Added
from petl.methods import where


class Shift(Added):
    family: Literal["shift"]
    branch: Literal["attention", "ffn"] = "ffn"


def apply(encoder: Encoder, method: Shift) -> None:
    wrap = partial(AddVector, size=encoder.shape.hidden)
    for layer in where.layers(encoder, method.layers):
        attach(layer, method.branch, wrap)


class AddVector(Wrapper):
    def __init__(self, inner: nn.Module, size: int):
        super().__init__(inner)
        self.vector = nn.Parameter(torch.zeros(size))

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h) + self.vector

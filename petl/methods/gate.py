"""A learned gate on what a module adds: g A(h). It starts at 1, as if it were not there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from petl.methods import init


class ScalarGate(nn.Module):
    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block
        self.gate = nn.Parameter(torch.ones(()))

    def forward(self, h: Tensor) -> Tensor:
        return self.gate * self.block(h)


class InputGate(nn.Module):
    """Each token opens its own gate between 0 and 2: g = 2 sigmoid(w h + b)."""

    def __init__(self, block: nn.Module, hidden: int):
        super().__init__()
        self.block = block
        self.gate = nn.Linear(hidden, 1)
        init.zero(self.gate)

    def forward(self, h: Tensor) -> Tensor:
        return 2 * self.gate(h).sigmoid() * self.block(h)


def gated(block: nn.Module, gate: str, hidden: int) -> nn.Module:
    if gate == "scalar":
        return ScalarGate(block)
    return InputGate(block, hidden) if gate == "input" else block

"""A learned gate on what a module adds: g A(h). It starts at 1, which changes nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from petl.backbones.boxes import TIMES, Box, boxes_of, leaf, meet, steps, vector
from petl.methods import init


class ScalarGate(nn.Module):
    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block
        self.gate = nn.Parameter(torch.ones(()))

    def forward(self, h: Tensor) -> Tensor:
        return self.gate * self.block(h)

    def boxes(self, name: str) -> Box:
        return steps(boxes_of(self.block), vector("gate", self.gate, note=f"{TIMES} g"))


class InputGate(nn.Module):
    """Each token opens its own gate between 0 and 2: g = 2 sigmoid(w h + b)."""

    def __init__(self, block: nn.Module, hidden: int):
        super().__init__()
        self.block = block
        self.gate = nn.Linear(hidden, 1)
        init.zero(self.gate)

    def forward(self, h: Tensor) -> Tensor:
        return 2 * self.gate(h).sigmoid() * self.block(h)

    def boxes(self, name: str) -> Box:
        return meet(
            f"gate {TIMES} block", boxes_of(self.block), leaf(self.gate, "gate", "2 sigmoid")
        )


def gated(block: nn.Module, gate: str, hidden: int) -> nn.Module:
    if gate == "scalar":
        return ScalarGate(block)
    return InputGate(block, hidden) if gate == "input" else block

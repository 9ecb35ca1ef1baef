"""The head: what turns the pooled tokens into the outputs of a task."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import Box, vector
from petl.methods import init

PARTS = ("head", "attentive")
"""Of a model: what counts as its head."""


class Attentive(nn.Module):
    """The mean of tokens h, weighted by one learned query q: a = softmax(h q / sqrt(width)).

    The query starts at 0, where it is the plain mean.
    """

    def __init__(self, hidden: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(hidden))

    def forward(self, h: Tensor) -> Tensor:
        weights = torch.softmax(h @ self.query * len(self.query) ** -0.5, dim=1)
        return (weights.unsqueeze(1) @ h).squeeze(1)

    def boxes(self, name: str) -> Box:
        return vector("Attentive pooling", self.query, note="query")


def build_head(hidden: int, outputs: int, settings: config.HeadSettings | None = None) -> nn.Module:
    head = nn.Linear(hidden, outputs)
    init.default(head)
    return head.requires_grad_(settings is None or settings.trained)

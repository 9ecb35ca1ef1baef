"""The head: what turns the pooled tokens into the outputs of a task."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import Box, boxes_of, steps, vector
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


class Stack(nn.Sequential):
    """Hidden layers and the last linear map, one after the other."""

    def boxes(self, name: str) -> Box:
        return steps(*(boxes_of(part) for part in self))


def build_head(hidden: int, outputs: int, settings: config.HeadSettings | None = None) -> nn.Module:
    settings = settings or config.HeadSettings()
    parts: list[nn.Module] = [nn.LayerNorm(hidden)] if settings.layers else []
    width = hidden
    for wide in settings.layers:
        parts += [nn.Linear(width, wide), nn.GELU(), nn.Dropout(settings.dropout)]
        width = wide
    if settings.dropout and not settings.layers:
        parts.append(nn.Dropout(settings.dropout))
    parts.append(nn.Linear(width, outputs))
    if settings.output == "sigmoid":
        parts.append(nn.Sigmoid())
    init.default(*(part for part in parts if isinstance(part, nn.Linear)))
    head = parts[0] if len(parts) == 1 else Stack(*parts)
    return head.requires_grad_(settings.trained)

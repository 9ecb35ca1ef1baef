"""The head: what turns the pooled tokens into the outputs of a task."""

from __future__ import annotations

from torch import nn

from petl import config
from petl.methods import init


def build_head(hidden: int, outputs: int, settings: config.HeadSettings | None = None) -> nn.Module:
    head = nn.Linear(hidden, outputs)
    init.default(head)
    return head.requires_grad_(settings is None or settings.trained)

"""Initial values of new modules. In the released code they are not those its authors wrote: the
library initialises every nn.Linear again that a checkpoint lacks (docs/fidelity.md, 1)."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def normal(*linears: nn.Linear) -> None:
    """As the library initialises again: N(0, 0.02) and no bias."""
    for linear in linears:
        nn.init.trunc_normal_(linear.weight, std=0.02)
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)


@torch.no_grad()
def default(*modules: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
    """PyTorch's own, written out so that no version of a library can change it."""
    for module in modules:
        nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5))
        if module.bias is not None:
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.bias, -bound, bound)


@torch.no_grad()
def xavier(*modules: nn.Linear | nn.Conv1d) -> None:
    for module in modules:
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


@torch.no_grad()
def kaiming(*modules: nn.Conv1d) -> None:
    """As the library initialises a convolution again in wav2vec 2.0."""
    for module in modules:
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.bias, -bound, bound)


@torch.no_grad()
def zero(*modules: nn.Linear | nn.Conv1d) -> None:
    for module in modules:
        nn.init.zeros_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def tokens(count: int, hidden: int) -> nn.Parameter:
    """Learned tokens, uniform in the range of visual prompt tuning for 16 x 16 patches."""
    bound = math.sqrt(6 / (3 * 16 * 16 + hidden))
    return nn.Parameter(torch.empty(1, count, hidden).uniform_(-bound, bound))

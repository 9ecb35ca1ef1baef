"""AdamW and a cosine to zero over every step."""

from __future__ import annotations

import math

import torch
from torch import nn

from petl import config


def optimiser(model: nn.Module, train: config.Train) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        parameter_groups(model, train), lr=train.lr, betas=train.betas, eps=train.eps
    )


def parameter_groups(model: nn.Module, train: config.Train) -> list[dict[str, object]]:
    """`everything` decays LayerNorm gains, biases and prompts too, as the released code does."""
    decayed, spared = [], []
    for module in model.modules():
        is_product = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                decays = train.decay == "everything" or (is_product and name == "weight")
                (decayed if decays else spared).append(parameter)
    groups: list[dict[str, object]] = [{"params": decayed, "weight_decay": train.weight_decay}]
    return [*groups, {"params": spared, "weight_decay": 0.0}] if spared else groups


def cosine(
    optimiser: torch.optim.Optimizer, steps: int, warm_up: int = 0
) -> torch.optim.lr_scheduler.LambdaLR:
    """In closed form: the rate at a step is the same however the run got there."""

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
        return rise * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)

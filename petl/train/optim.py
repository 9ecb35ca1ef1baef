"""AdamW, a cosine to zero over every step, and how many steps there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from petl import config


def optimiser(model: nn.Module, train: config.Train) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        parameter_groups(model, train), lr=train.lr, betas=train.betas, eps=train.eps
    )


def parameter_groups(model: nn.Module, train: config.Train) -> list[dict[str, object]]:
    """`everything` decays LayerNorm gains, biases and prompts too, as the released code does.

    A head with a rate of its own comes last, in groups of its own.
    """
    if train.head_lr is None:
        return _by_decay(model.modules(), train)
    inside = list(model.head.modules())
    ids = {id(module) for module in inside}
    rest = _by_decay((module for module in model.modules() if id(module) not in ids), train)
    return rest + [group | {"lr": train.head_lr} for group in _by_decay(inside, train)]


def _by_decay(modules: Iterable[nn.Module], train: config.Train) -> list[dict[str, object]]:
    decayed, spared = [], []
    for module in modules:
        is_product = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                decays = train.decay == "everything" or (is_product and name == "weight")
                (decayed if decays else spared).append(parameter)
    groups = ((decayed, train.weight_decay), (spared, 0.0))
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def clip(parameters: Iterable[Tensor], norm: float) -> Tensor:
    """Scale all gradients down to this norm together; the norm that they had.

    The result stays on the device and nothing waits for it. Gradients that are not finite become
    NaN or zero: ask the returned norm before stepping.
    """
    return torch.nn.utils.clip_grad_norm_(parameters, norm)


def schedule(
    adamw: torch.optim.Optimizer, train: config.Train, clips: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """The curve that every group's rate follows, for so many training clips."""
    steps = steps_by_epoch(train, clips)
    return cosine(adamw, sum(steps), warm_up_steps(train, steps))


def cosine(
    optimiser: torch.optim.Optimizer, steps: int, warm_up: int = 0
) -> torch.optim.lr_scheduler.LambdaLR:
    """In closed form: the rate at a step is the same however the run got there."""

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
        return rise * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def steps_in(train: config.Train, clips: int, epoch: int) -> int:
    """A last batch that is not full counts: the released code drops none."""
    return -(-clips // train.batch_size_in(epoch))


def steps_by_epoch(train: config.Train, clips: int) -> list[int]:
    return [steps_in(train, clips, epoch) for epoch in range(1, train.epochs + 1)]


def total_steps(train: config.Train, clips: int) -> int:
    return sum(steps_by_epoch(train, clips))


def warm_up_steps(train: config.Train, steps_per_epoch: Sequence[int]) -> int:
    """`warm_up` is in epochs, which may differ in their steps; half an epoch is half of its own."""
    whole = int(train.warm_up)
    steps = sum(steps_per_epoch[:whole])
    if whole < len(steps_per_epoch):
        steps += round((train.warm_up - whole) * steps_per_epoch[whole])
    return steps

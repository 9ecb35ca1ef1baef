"""AdamW, its learning rate (a curve to zero over all steps), and the number of steps."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from petl import config
from petl.errors import UserError
from petl.model.head import PARTS


def optimiser(model: nn.Module, train: config.Train) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        parameter_groups(model, train), lr=train.lr, betas=train.betas, eps=train.eps
    )


def parameter_groups(model: nn.Module, train: config.Train) -> list[dict[str, object]]:
    """One group for each combination of learning rate and weight decay; the head's come last.

    `decay: everything` decays LayerNorm gains, biases and prompts too, as the released code does.
    """
    if train.head_lr is None:
        return _by_decay(model.modules(), train)
    head = [m for name, m in model.named_modules() if name.partition(".")[0] in PARTS]
    ids = {id(module) for module in head}
    rest = _by_decay((module for module in model.modules() if id(module) not in ids), train)
    return rest + [group | {"lr": train.head_lr} for group in _by_decay(head, train)]


def _by_decay(modules: Iterable[nn.Module], train: config.Train) -> list[dict[str, object]]:
    decayed, other = [], []
    for module in modules:
        is_linear = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                decays = train.decay == "everything" or (is_linear and name == "weight")
                (decayed if decays else other).append(parameter)
    groups = ((decayed, train.weight_decay), (other, 0.0))
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def filled(adam: torch.optim.Optimizer, given: Collection[int]) -> dict[int, dict[str, Tensor]]:
    """What the state of an Adam looks like once these of its parameters have had a step."""
    parameters = [p for group in adam.param_groups for p in group["params"]]
    return {
        index: {"step": torch.tensor(0.0), "exp_avg": p, "exp_avg_sq": p}
        for index, p in enumerate(parameters)
        if index in given
    }


def clip(parameters: Iterable[Tensor], norm: float) -> Tensor:
    """Scale all gradients by one factor, so that their norm is at most `norm`.

    Return the norm before that, on the device, so that nothing waits for it. Check that it is
    finite: otherwise the gradients are NaN or zero now.
    """
    return torch.nn.utils.clip_grad_norm_(parameters, norm)


def schedule(
    adamw: torch.optim.Optimizer, train: config.Train, clips: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """The curve that the rates of all groups follow, for so many training clips."""
    steps = steps_by_epoch(train, clips)
    if train.curve == "cosine" and train.warm_up_steps is None:
        return cosine(adamw, sum(steps), warm_up_steps(train, steps))
    rises = train.warm_up_steps or warm_up_steps(train, steps)
    return after_warm_up(adamw, sum(steps), rises, train.curve)


def cosine(
    optimiser: torch.optim.Optimizer, steps: int, warm_up: int = 0
) -> torch.optim.lr_scheduler.LambdaLR:
    """In closed form: the rate depends on the step alone, so a resumed run has the same."""

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
        return rise * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def after_warm_up(
    optimiser: torch.optim.Optimizer, steps: int, warm_up: int, curve: Literal["cosine", "linear"]
) -> torch.optim.lr_scheduler.LambdaLR:
    """As transformers.get_cosine_schedule_with_warmup or get_linear_schedule_with_warmup: the rate
    begins at zero, and falls from the end of the warm-up on."""
    if warm_up >= steps:
        raise UserError(f"train.warm_up_steps ({warm_up}) must be below the run's {steps} steps")

    def factor(step: int) -> float:
        if step < warm_up:
            return step / warm_up
        done = (min(step, steps) - warm_up) / (steps - warm_up)
        return 0.5 * (1 + math.cos(math.pi * done)) if curve == "cosine" else 1 - done

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def steps_by_epoch(train: config.Train, clips: int) -> list[int]:
    """The last batch counts, full or not: the released code drops none."""
    return [-(-clips // train.batch_size_in(epoch)) for epoch in range(1, train.epochs + 1)]


def warm_up_steps(train: config.Train, steps_per_epoch: Sequence[int]) -> int:
    """`warm_up` is in epochs, which may have different numbers of steps."""
    whole = int(train.warm_up)
    steps = sum(steps_per_epoch[:whole])
    if whole < len(steps_per_epoch):
        steps += round((train.warm_up - whole) * steps_per_epoch[whole])
    return steps

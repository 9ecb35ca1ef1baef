"""Watches that loss and gradient stay finite, without making a GPU wait for it at every step.

On the CPU, where looking costs nothing, a bad step is seen before it changes a weight. On a GPU the
verdict is copied beside the work and read when it has arrived, some steps later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class BadStep(Exception):
    """Loss or gradient of a step were not finite."""

    def __init__(self, step: int, loss: float, norm: float):
        super().__init__(f"loss {loss}, gradient norm {norm} in step {step + 1}")
        self.step, self.loss, self.norm = step, loss, norm


class Sentinel:
    def __init__(self, device: torch.device):
        self.late = device.type == "cuda"
        """A verdict may come some steps after its step; turned off, every step waits for it."""
        self.under_way: deque[tuple[int, Tensor, torch.cuda.Event]] = deque()

    def look(self, step: int, loss: Tensor, norm: Tensor) -> None:
        """Raise BadStep for this step, or for an earlier one whose verdict has come in."""
        both = torch.stack([loss.detach().float(), norm.float()])
        if not self.late:
            _judge(step, both)
            return
        there = torch.empty(2, pin_memory=True)
        there.copy_(both, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        self.under_way.append((step, there, arrived))
        while self.under_way and self.under_way[0][2].query():
            _judge(*self.under_way.popleft()[:2])

    def wait(self) -> None:
        """Judge what is still under way: an epoch ends only when all of it was finite."""
        while self.under_way:
            step, both, arrived = self.under_way.popleft()
            arrived.synchronize()
            _judge(step, both)


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Over all gradients; infinite if one of them is, nan if one of them has a nan."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).float().norm()


def first_bad_gradient(model: nn.Module) -> str | None:
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            return name
    return None


@torch.no_grad()
def first_bad_output(model: nn.Module, x: Tensor) -> str | None:
    """The first module, in the order of computing, whose output is not finite."""
    bad: list[str] = []

    def watch(name: str, output: object) -> None:
        if isinstance(output, Tensor) and not bool(output.isfinite().all()):
            bad.append(name)

    handles = [
        module.register_forward_hook(lambda m, i, output, name=name: watch(name, output))
        for name, module in model.named_modules()
        if name
    ]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return bad[0] if bad else None


def _judge(step: int, both: Tensor) -> None:
    loss, norm = both.tolist()
    if not bool(both.isfinite().all()):
        raise BadStep(step, loss, norm)

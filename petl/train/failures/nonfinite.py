"""Check that loss and gradients stay finite, without making the host wait for the GPU.

Reading a number from the GPU stops the host until the GPU has caught up: at every step, that costs
more than the check. So each step copies (loss, norm) to pinned memory without waiting and records
an event behind the copy; a later step reads what has arrived. The race: while the copy is on its
way, one or more steps train on weights that may be broken already. That is safe, because `finish`
waits before an epoch ends, and because Attempt answers a late verdict by training again from the
last checkpoint with `delayed` off, so that the message names the true step and tensor.

On the CPU reading costs nothing, and a bad step is found before it changes a weight.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class NonFiniteStep(Exception):
    """The loss or the gradient of a step is not finite."""

    def __init__(self, step: int, loss: float, norm: float):
        super().__init__(f"loss {loss}, gradient norm {norm} in step {step + 1}")
        self.step, self.loss, self.norm = step, loss, norm


class FiniteCheck:
    def __init__(self, device: torch.device):
        self.delayed = device.type == "cuda"
        """Results may be read some steps late; set it to False and every step waits for its own."""
        self.pending: deque[tuple[int, Tensor, torch.cuda.Event]] = deque()

    def check(self, step: int, loss: Tensor, norm: Tensor) -> None:
        """Raise NonFiniteStep for this step, or for an earlier one whose numbers have arrived."""
        numbers = torch.stack([loss.detach().float(), norm.float()])
        if not self.delayed:
            require_finite(step, numbers)
            return
        on_host = torch.empty(2, pin_memory=True)
        on_host.copy_(numbers, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        self.pending.append((step, on_host, copied))
        while self.pending and self.pending[0][2].query():
            require_finite(*self.pending.popleft()[:2])

    def finish(self) -> None:
        """Wait for all pending copies: an epoch ends only when every step of it was finite."""
        while self.pending:
            step, numbers, copied = self.pending.popleft()
            copied.synchronize()
            require_finite(step, numbers)


def require_finite(step: int, numbers: Tensor) -> None:
    loss, norm = numbers.tolist()
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise NonFiniteStep(step, loss, norm)


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The norm of all gradients together; inf or nan if any of them has one."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).float().norm()


@torch.no_grad()
def first_bad_tensor(model: nn.Module, x: Tensor) -> str | None:
    """The first output that is not finite, in the order of the forward pass, or else gradient."""
    bad: list[str] = []

    def look(name: str, output: object) -> None:
        if isinstance(output, Tensor) and not bool(output.isfinite().all()):
            bad.append(f"the output of {name}")

    hooks = [
        module.register_forward_hook(lambda m, i, output, name=name: look(name, output))
        for name, module in model.named_modules()
        if name
    ]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            bad.append(f"the gradient of {name}")
    return bad[0] if bad else None

"""Less memory for the backward pass: what can be computed again from what is kept anyway.

`project` is for a trained projection of a LayerNorm's output, `checkpoint` for a whole layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def project(h: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear, without keeping h if it is the output of a LayerNorm.

    The weight's gradient needs h. A LayerNorm keeps its input x, mean and 1 / deviation anyway, so
    h = (x - mean) * rate * gain + shift: one tokens x hidden matrix less for each adapted branch.
    """
    norm = h.grad_fn
    if norm is None or norm.name() != "NativeLayerNormBackward0" or not weight.requires_grad:
        return F.linear(h, weight, bias)
    kept = (norm._saved_input, norm._saved_result1, norm._saved_result2)  # x, mean, 1 / deviation
    x, mean, rate = (t.detach() for t in kept)
    return _Project.apply(h, weight, bias, x, mean, rate, norm._saved_weight, norm._saved_bias)


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor | None, *norm: Tensor) -> Tensor:
        ctx.save_for_backward(weight, *norm)
        return F.linear(h, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, x, mean, rate, gain, shift = ctx.saved_tensors
        grad = grad.to(weight.dtype)
        rows = grad.flatten(0, -2)
        normalised = (x - mean).mul_(rate).flatten(0, -2).to(rows.dtype)
        # With h = n * gain + shift (n normalised, a row per token), the weight's gradient is
        # rows' h = (rows' n) * gain + (sum of rows) shift': gain and shift cost nothing per token.
        total = rows.sum(0)
        d_weight = (rows.t() @ normalised).mul_(gain).addr_(total, shift)
        d_bias = total if ctx.needs_input_grad[2] else None
        return grad @ weight, d_weight, d_bias, None, None, None, None, None


def checkpoint(layer: nn.Module, h: Tensor) -> Tensor:
    """layer(h), keeping only h: the backward pass computes the layer again."""
    if not torch.is_grad_enabled():
        return layer(h)
    return _Checkpoint.apply(layer, h, *(p for p in layer.parameters() if p.requires_grad))


class _Checkpoint(torch.autograd.Function):
    """The trained parameters are inputs too. Otherwise autograd would skip a layer whose h needs no
    gradient, such as the first one on a frozen backbone."""

    @staticmethod
    def forward(ctx: Any, layer: nn.Module, h: Tensor, *trained: Tensor) -> Tensor:
        ctx.layer, ctx.random = layer, _random_states(h)
        ctx.save_for_backward(h, *trained)
        return layer(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, *trained = ctx.saved_tensors
        h = h.detach().requires_grad_(ctx.needs_input_grad[1])
        with torch.enable_grad(), _once_more(ctx.layer, h, ctx.random):
            out = ctx.layer(h)
        wanted = [h, *trained] if h.requires_grad else trained
        grads = torch.autograd.grad(out, wanted, grad, allow_unused=True)
        return None, *([] if h.requires_grad else [None]), *grads


def _random_states(h: Tensor) -> tuple[Tensor, ...]:
    cpu = torch.get_rng_state()
    return (cpu, torch.cuda.get_rng_state(h.device)) if h.is_cuda else (cpu,)


@contextmanager
def _once_more(layer: nn.Module, h: Tensor, random: tuple[Tensor, ...]) -> Iterator[None]:
    """For the second forward: the random numbers of the first, so that dropout has the same masks,
    and no second update of a BatchNorm's running statistics."""
    norms = [m for m in layer.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    tracking = [m.track_running_stats for m in norms]
    with torch.random.fork_rng([h.device] if h.is_cuda else []):
        torch.set_rng_state(random[0])
        if h.is_cuda:
            torch.cuda.set_rng_state(random[1], h.device)
        for m in norms:
            m.track_running_stats = False
        try:
            yield
        finally:
            for m, tracked in zip(norms, tracking, strict=True):
                m.track_running_stats = tracked

"""Less kept for the backward pass: what can be rebuilt from what is kept anyway.

`project` is for a trained projection of what a LayerNorm put out, `checkpoint` for a whole layer.
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
    """F.linear; if h comes from a LayerNorm, the weight's gradient rebuilds it from what the
    LayerNorm keeps for itself. That is one matrix of tokens less for each adapted branch."""
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
        # h = normalised * gain + shift; gain and shift wait until the tokens are summed up
        total = rows.sum(0)
        d_weight = (rows.t() @ normalised).mul_(gain).addr_(total, shift)
        d_bias = total if ctx.needs_input_grad[2] else None
        return grad @ weight, d_weight, d_bias, None, None, None, None, None


def checkpoint(layer: nn.Module, h: Tensor) -> Tensor:
    """layer(h), keeping h alone: the backward pass computes the layer once more."""
    if not torch.is_grad_enabled():
        return layer(h)
    return _Checkpoint.apply(layer, h, *(p for p in layer.parameters() if p.requires_grad))


class _Checkpoint(torch.autograd.Function):
    """The parameters are inputs too: the first layer's tokens alone may need no gradient."""

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
    """The same draws again, and no second update of a BatchNorm's running statistics."""
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

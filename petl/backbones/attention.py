"""Attention that keeps queries, keys and values for the backward pass, and nothing else.

The probabilities P, tokens x tokens for each head, are computed again in the backward pass, a few
heads at a time: P is never stored whole and mostly stays in the cache. With S = q k' / sqrt(width),

    P = softmax(S)      out = P v       dv = P' d_out       dP = d_out v'
    dS = P * (dP - rowsum(dP * P))      dq = dS k / sqrt(width)     dk = dS' q / sqrt(width)

A fused kernel needs `out` for the row sums (rowsum(dP * P) = rowsum(d_out * out)). Here whole rows
of P are at hand, so not even `out` is kept.

All are (batch, heads, tokens, width); there may be more keys than queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

FUSED = hasattr(F, "scaled_dot_product_attention")  # since PyTorch 2
SCORES = {"cpu": 24 * 2**20, "cuda": 256 * 2**20}
"""Bytes of P at a time: on a CPU about the size of its cache, on a GPU enough to keep it busy."""

Part = tuple[slice, slice]
Wanted = tuple[bool, ...]


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0) -> Tensor:
    """softmax(q k' / sqrt(width)) v, with dropout of the probabilities."""
    # from this seed the backward pass draws the same masks again
    seed = int(torch.randint(2**62, ())) if dropout else 0
    return _Attend.apply(q, k, v, dropout, seed)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, dropout: float, seed: int) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.dropout, ctx.seed = dropout, seed
        with torch.autocast(q.device.type, enabled=False):  # as in the backward pass
            if FUSED and not dropout:
                return F.scaled_dot_product_attention(q, k, v)
            return _forward(q, k, v, dropout, seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if FUSED and q.is_cuda and not ctx.dropout:
            grads = _fused_backward(q, k, v, grad, wanted)
        else:
            grads = _backward(q, k, v, grad, wanted, ctx.dropout, ctx.seed)
        return *grads, None, None


def _forward(q: Tensor, k: Tensor, v: Tensor, dropout: float, seed: int) -> Tensor:
    out, masks = _like(q), _masks(q, seed)
    for part in _parts(q, k):
        p = _probabilities(_scaled(q[part]), k[part])
        if dropout:
            p *= _mask(p, dropout, masks)
        out[part] = p @ v[part]
    return out


def _backward(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, wanted: Wanted, dropout: float, seed: int
) -> list[Tensor | None]:
    grads = [_like(t) if wants else None for t, wants in zip((q, k, v), wanted, strict=True)]
    dq, dk, dv = grads
    masks = _masks(q, seed)
    for part in _parts(q, k):
        scaled, g = _scaled(q[part]), grad[part]
        p = _probabilities(scaled, k[part])
        mask = _mask(p, dropout, masks) if dropout else None
        if dv is not None:
            dv[part] = (p if mask is None else p * mask).transpose(-2, -1) @ g
        if dq is None and dk is None:
            continue
        dp = g @ v[part].transpose(-2, -1)
        if mask is not None:
            dp *= mask
        ds = torch._softmax_backward_data(dp, p, -1, p.dtype)
        if dq is not None:
            dq[part] = _scaled(ds @ k[part])
        if dk is not None:
            dk[part] = ds.transpose(-2, -1) @ scaled
    return grads


def _fused_backward(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, wanted: Wanted
) -> list[Tensor | None]:
    """On a GPU the fused kernel is faster, although it must run forward again for its output."""
    inputs = [t.detach().requires_grad_(w) for t, w in zip((q, k, v), wanted, strict=True)]
    with torch.enable_grad():
        out = F.scaled_dot_product_attention(*inputs)
    grads = iter(torch.autograd.grad(out, [t for t in inputs if t.requires_grad], grad))
    return [next(grads) if wants else None for wants in wanted]


def _parts(q: Tensor, k: Tensor) -> Iterator[Part]:
    """Slices of (batch, heads): whole clips if one fits into SCORES bytes, else heads of one clip.

    at_once = SCORES / (queries x keys x bytes) heads fit. For heads of one clip this is rounded
    down to a multiple of the threads: each head is one thread's work, so no thread is idle.
    """
    batch, heads = q.shape[:2]
    one = q.shape[2] * k.shape[2] * q.element_size()
    at_once = max(1, SCORES["cuda" if q.is_cuda else "cpu"] // one)
    clips, some = max(1, at_once // heads), min(heads, at_once)
    some -= some % min(some, torch.get_num_threads())
    for b in range(0, batch, clips):
        for h in range(0, heads, some):
            yield slice(b, b + clips), slice(h, h + some)


def _probabilities(scaled: Tensor, k: Tensor) -> Tensor:
    scores = scaled @ k.transpose(-2, -1)
    return torch.softmax(scores, dim=-1, out=scores)


def _scaled(t: Tensor) -> Tensor:
    """Scaling the queries (tokens x width) is cheaper than scaling S (tokens x tokens)."""
    return t * t.shape[-1] ** -0.5


def _like(t: Tensor) -> Tensor:
    """An empty (batch, heads, tokens, width) that the output projection can read without a copy."""
    batch, heads, tokens, width = t.shape
    return t.new_empty(batch, tokens, heads, width).transpose(1, 2)


def _masks(q: Tensor, seed: int) -> torch.Generator:
    return torch.Generator(q.device).manual_seed(seed)


def _mask(p: Tensor, dropout: float, masks: torch.Generator) -> Tensor:
    return torch.empty_like(p).bernoulli_(1 - dropout, generator=masks).div_(1 - dropout)

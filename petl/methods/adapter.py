"""Adapters: a small block A with a branch f, the attention or the feed-forward network.

parallel      f(h) + A(h)      with residual  f(h) + A(h) + h
sequential    A(f(h))          with residual  A(f(h)) + f(h)
before        f(A(h))          with residual  f(A(h)) + A(h)
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import LINE, Box, added, boxes_of, steps, total
from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.methods import blocks, where
from petl.methods.gate import gated


def apply(encoder: Encoder, method: config.Adapter) -> None:
    """The LayerNorms of adapted branches may train as well."""
    compose = partial(COMPOSITIONS[method.composition], residual=method.residual)
    for layer in where.layers(encoder, method.layers):
        for branch in where.branches(method.placement):
            block = gated(blocks.make(encoder, method.block), method.gate, encoder.shape.hidden)
            attach(layer, branch, partial(compose, block=block))
            if method.layer_norms == "trained":
                getattr(layer, f"norm_{branch}").requires_grad_(True)


class WithBlock(Wrapper):
    def __init__(self, inner: nn.Module, block: nn.Module, residual: bool):
        super().__init__(inner)
        self.block, self.residual = block, residual


class Parallel(WithBlock):
    def forward(self, h: Tensor) -> Tensor:
        out = self.inner(h) + self.block(h)
        return out + h if self.residual else out

    def boxes(self, name: str) -> Box:
        more = (LINE,) if self.residual else ()
        return total(boxes_of(self.inner, name), added(boxes_of(self.block)), *more)


class Sequential(WithBlock):
    def forward(self, h: Tensor) -> Tensor:
        branch = self.inner(h)
        out = self.block(branch)
        return out + branch if self.residual else out

    def boxes(self, name: str) -> Box:
        block = added(boxes_of(self.block))
        return steps(boxes_of(self.inner, name), total(LINE, block) if self.residual else block)


class Before(WithBlock):
    def forward(self, h: Tensor) -> Tensor:
        adapted = self.block(h)
        out = self.inner(adapted)
        return out + adapted if self.residual else out

    def boxes(self, name: str) -> Box:
        inner = boxes_of(self.inner, name)
        return steps(added(boxes_of(self.block)), total(LINE, inner) if self.residual else inner)


COMPOSITIONS = {"parallel": Parallel, "sequential": Sequential, "before": Before}

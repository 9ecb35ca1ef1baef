"""Gradual unfreezing: everything trains in the end, the last layers from the beginning.

A layer whose input is still frozen cuts the gradient there. So nothing is computed backwards for
what is frozen, AdamW passes over tensors without a gradient, and a layer that opens needs no new
optimiser.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach_layer


def opens(method: config.Gradual, depth: int) -> int:
    """The first epoch, counted from 1, in which what is `depth` layers below the last one trains.

    The embeddings count as one layer more.
    """
    return 1 + method.every * max(0, depth - method.start + 1)


class Cut(Wrapper):
    """Around a layer; no gradient passes below it until the epoch in which that part opens."""

    def __init__(self, inner: nn.Module, opens_below: int):
        super().__init__(inner)
        self.opens_below, self.epoch = opens_below, 1

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h if self.epoch >= self.opens_below else h.detach())

    def fold(self) -> nn.Module:
        """It only ever touched gradients."""
        return self.inner


def gradual(encoder: Encoder, method: config.Gradual) -> None:
    encoder.requires_grad_(True)
    layers = encoder.shape.layers
    for index in range(layers):
        below = opens(method, layers - index)
        attach_layer(encoder, index, partial(Cut, opens_below=below))


def start_epoch(model: nn.Module, epoch: int) -> None:
    """Tell what follows a schedule which epoch it is; the rest of a model does not mind."""
    for module in model.modules():
        if isinstance(module, Cut):
            module.epoch = epoch

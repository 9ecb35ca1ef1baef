"""Methods that add nothing: they choose which of the backbone's own parameters train."""

from __future__ import annotations

from torch import Tensor, nn

from petl import config
from petl.backbones.boxes import Box, boxes_of
from petl.backbones.encoder import Encoder, Wrapper
from petl.methods import where


def apply(encoder: Encoder, method: config.Method) -> None:
    """The head trains with every method; for `head` and `linear` nothing else is left to do."""
    if isinstance(method, config.BitFit):
        biases(encoder)
    elif isinstance(method, config.Gradual):
        gradual(encoder, method)
    elif isinstance(method, config.Full) and method.layers != "all":
        where.indices(encoder, (method.layers - 1,))  # refuses more layers than there are
        encoder.layers[-method.layers :].requires_grad_(True)
    elif isinstance(method, config.Full):
        encoder.requires_grad_(True)


def biases(encoder: Encoder) -> None:
    """Biases of Linear and LayerNorm; as in the released code, not the patch convolution's."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is not None:
            module.bias.requires_grad_(True)


# --- gradual unfreezing ---------------------------------------------------------------------------


def gradual(encoder: Encoder, method: config.Gradual) -> None:
    """Everything trains in the end, the last layers from the beginning.

    A layer cuts the gradient while what is below it is frozen. So nothing is computed backwards for
    frozen layers, AdamW skips tensors without a gradient, and a layer that starts to train needs
    no new optimiser.
    """
    encoder.requires_grad_(True)
    layers = encoder.shape.layers
    for index in range(layers):
        encoder.layers[index] = Cut(encoder.layers[index], opens(method, layers - index))


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
        """It has no weights, and only gradients depend on it."""
        return self.inner

    def boxes(self, name: str) -> Box:
        return boxes_of(self.inner, name)


def start_epoch(model: nn.Module, epoch: int) -> None:
    """Tell the modules that follow a schedule which epoch it is."""
    for module in model.modules():
        if isinstance(module, Cut):
            module.epoch = epoch

"""Methods that add nothing: they choose which of the backbone's own parameters train."""

from __future__ import annotations

from torch import nn

from petl import config
from petl.backbones.encoder import Encoder
from petl.methods import where


def full(encoder: Encoder, method: config.Full) -> None:
    if method.layers == "all":
        encoder.requires_grad_(True)
    else:
        where.indices(encoder, (method.layers - 1,))  # are there so many?
        encoder.layers[-method.layers :].requires_grad_(True)


def linear(encoder: Encoder, method: config.Linear) -> None:
    """Nothing beyond the head and the final LayerNorm, which every method trains."""


def head(encoder: Encoder, method: config.Head) -> None:
    """Nothing at all: what the backbone puts out stays what it was."""


def bitfit(encoder: Encoder, method: config.BitFit) -> None:
    """Biases of Linear and LayerNorm; as in the released code, not the patch convolution's."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is not None:
            module.bias.requires_grad_(True)

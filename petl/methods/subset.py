"""Methods that add nothing: they choose which of the backbone's own parameters train."""

from __future__ import annotations

from torch import nn

from petl import config
from petl.backbones.encoder import Encoder


def full(encoder: Encoder, method: config.Full) -> None:
    encoder.requires_grad_(True)


def linear(encoder: Encoder, method: config.Linear) -> None:
    """Nothing beyond the head and the final LayerNorm, which every method trains."""


def bitfit(encoder: Encoder, method: config.BitFit) -> None:
    """Biases of Linear and LayerNorm; the patch convolution keeps its own, as in the released code."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is not None:
            module.bias.requires_grad_(True)

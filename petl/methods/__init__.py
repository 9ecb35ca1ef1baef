"""Methods: new modules at named places of the encoder, and which of its old parameters train."""

from __future__ import annotations

from petl import config
from petl.backbones.encoder import Encoder
from petl.methods import subset
from petl.methods.adapter import adapter
from petl.methods.lora import lora
from petl.methods.prefix import prefix
from petl.methods.prompt import prompt

METHODS = {
    "full": subset.full,
    "linear": subset.linear,
    "bitfit": subset.bitfit,
    "lora": lora,
    "adapter": adapter,
    "prompt": prompt,
    "prefix": prefix,
}


def apply(encoder: Encoder, method: config.Method) -> None:
    """Freeze the backbone, then let the method add and unfreeze."""
    encoder.requires_grad_(False)
    METHODS[method.family](encoder, method)
    if method.family != "bitfit":  # which trains the final LayerNorm's bias alone
        encoder.norm.requires_grad_(True)

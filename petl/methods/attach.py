"""Methods: new modules at named places of the encoder, and which of its old parameters train."""

from __future__ import annotations

from petl import config
from petl.backbones.encoder import Encoder
from petl.methods import subset
from petl.methods.adapter import adapter
from petl.methods.dora import dora
from petl.methods.gradual import gradual
from petl.methods.ia3 import ia3
from petl.methods.lora import lora
from petl.methods.moa import dense_moa, soft_moa
from petl.methods.prefix import prefix
from petl.methods.prompt import prompt
from petl.methods.ssf import ssf

METHODS = {
    "full": subset.full,
    "linear": subset.linear,
    "head": subset.head,
    "gradual": gradual,
    "bitfit": subset.bitfit,
    "lora": lora,
    "dora": dora,
    "ssf": ssf,
    "ia3": ia3,
    "adapter": adapter,
    "dense-moa": dense_moa,
    "soft-moa": soft_moa,
    "prompt": prompt,
    "prefix": prefix,
}


def apply(encoder: Encoder, method: config.Method) -> None:
    """Freeze the backbone, then let the method add and unfreeze."""
    encoder.requires_grad_(False)
    for part in config.parts(method):
        METHODS[part.family](encoder, part)
    if method.family not in ("bitfit", "head"):  # BitFit trains the final LayerNorm's bias alone
        encoder.norm.requires_grad_(True)

"""The Vision Transformer: patches side by side and a CLS token, here for spectrograms."""

from __future__ import annotations

from typing import Any

from petl import config
from petl.backbones import naming
from petl.backbones.encoder import Encoder
from petl.backbones.library import expect, read_checkpoint
from petl.backbones.patches import LAYERS, NEWER_LAYERS, PatchTokens, geometry
from petl.config.dataset import BINS

NAMING = naming.Naming(
    table=LAYERS, newer=NEWER_LAYERS, prefix="vit.", leftovers=("classifier.", "pooler.")
)


def tokens_of(c: dict[str, Any]) -> PatchTokens:
    """For images of the size it was trained on."""
    size = c["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    strides = (c["patch_size"], c["patch_size"])
    return PatchTokens(c, (height, width), strides, c["num_channels"], ("cls",))


def build(settings: config.ViT, frames: int) -> Encoder:
    c, tensors = read_checkpoint(settings.source)
    expect(c, settings.source, model_type="vit", hidden_act="gelu")
    own = tokens_of(c)
    encoder = Encoder(geometry(c), own)
    naming.load(encoder, tensors, NAMING, settings.source)
    own.resize((BINS, frames), settings.position_embeddings)
    return encoder

"""The Vision Transformer: patches that do not overlap and a CLS token, for spectrograms."""

from __future__ import annotations

from typing import Any

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.naming import Naming
from petl.backbones.patches import LAYERS, NEWER_LAYERS, PatchTokens, geometry

EXPECTED = {"model_type": "vit", "hidden_act": "gelu"}
NAMING = Naming(
    table=LAYERS, newer=NEWER_LAYERS, prefix="vit.", leftovers=("classifier.", "pooler.")
)


def make(c: dict[str, Any], settings: config.ViT | None) -> Encoder:
    """For images of the size of its training."""
    size = c["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    strides = (c["patch_size"], c["patch_size"])
    return Encoder(
        geometry(c), PatchTokens(c, (height, width), strides, c["num_channels"], ("cls",))
    )

"""EAT, as it is published for the library, or as the state dict that fairseq trained.

    model.local_encoder.proj.*  model.extra_tokens  model.fixed_positional_encoder.positions
    model.pre_norm.*  model.blocks.N.*

fairseq has `modality_encoders.IMAGE.` for `model.`, `context_encoder.norm` for `pre_norm`, and no
prefix in front of `blocks`. Each layer ends in its own norm, as do the embeddings, and there is no
final one. Patches are listed frame by frame, after a CLS token without a position.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from petl.backbones.layouts.translated import (
    CLS,
    PATCH,
    POSITION,
    Tensors,
    Translated,
    layers_of_timm,
    need,
    patches_of_timm,
    split,
    time_first,
)

NAME = "an EAT"
MARK = r"(model|modality_encoders\.IMAGE)\.local_encoder\."
UNUSED = (
    *("model.fc_norm.", "model.head.", "modality_encoders.IMAGE.decoder.", "_ema."),
    *("recon_proj.", "cls_proj.", "center", "shared_decoder."),
)
FRAMES = 1024
"""Of the pre-training. The fixed positions reach further."""
NAMES = {
    "extra_tokens": CLS,
    "fixed_positional_encoder.positions": POSITION,
    **patches_of_timm("local_encoder"),
    **{
        f"{theirs}.{end}": f"embeddings.norm.{end}"
        for theirs in ("pre_norm", "context_encoder.norm")
        for end in ("weight", "bias")
    },
}
CONFIG = {"num_heads": "num_attention_heads", "norm_eps": "layer_norm_eps"}


def translate(tensors: Tensors, config: dict[str, Any]) -> Translated:
    """Its config.json has names of its own, and its code is not used."""
    kept, dropped = split(tensors, UNUSED)
    bare = {re.sub(r"^(model|modality_encoders\.IMAGE)\.", "", name): t for name, t in kept.items()}
    ours = layers_of_timm(bare, NAMES)
    need(ours, POSITION, CLS, f"{PATCH}.weight")
    position = ours[POSITION]
    ours[POSITION] = torch.cat([torch.zeros_like(position[:, :1]), position], dim=1)
    size = config.get("img_size")
    frames = size[0] if isinstance(size, list) and size and type(size[0]) is int else FRAMES
    facts = {"layer_norm_eps": 1e-6, **time_first(ours, special=1, most=frames)}
    facts |= {key: config[theirs] for theirs, key in CONFIG.items() if theirs in config}
    return Translated(ours, facts, dropped, post_norm=True)

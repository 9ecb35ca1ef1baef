"""SSAST and AST as their authors saved them: a DeiT of timm inside, called `v`.

v.cls_token  v.dist_token  v.pos_embed  v.patch_embed.proj.*  v.blocks.N.*  v.norm.*
p_input_fdim  p_input_tdim                  bins and frames of the pre-training
mask_embed  cpredlayer.*  gpredlayer.*      of the pre-training
v.head.*  v.head_dist.*  mlp_head.*         heads
"""

from __future__ import annotations

from typing import Any

from petl.backbones.layouts.translated import (
    CLS,
    DIST,
    PATCH,
    POSITION,
    Tensors,
    Translated,
    layers_of_timm,
    need,
    patches_of_timm,
    said,
    side_of,
    split,
    without_overlap,
)

NAME = "an AST or SSAST as its authors saved it"
MARK = r"v\.(blocks|patch_embed)\."
UNUSED = ("v.head.", "v.head_dist.", "mlp_head.", "mask_embed", "cpredlayer.", "gpredlayer.")
SIZE = ("p_input_fdim", "p_input_tdim")
NAMES = {
    "cls_token": CLS,
    "dist_token": DIST,
    "pos_embed": POSITION,
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
    **patches_of_timm("patch_embed"),
}


def translate(tensors: Tensors, config: dict[str, Any]) -> Translated:
    """Patches do not overlap in its pre-training, whose size is stored with the weights."""
    kept, dropped = split(tensors, UNUSED)
    size = [kept.pop(name) for name in SIZE if name in kept]
    ours = layers_of_timm({name.removeprefix("v."): t for name, t in kept.items()}, NAMES)
    need(ours, f"{PATCH}.weight")
    facts: dict[str, Any] = {"layer_norm_eps": 1e-6}
    if len(size) == len(SIZE):
        bins, frames = (int(number.item()) for number in size)
        facts |= without_overlap(side_of(ours), frames, bins)
    return Translated(ours, facts | said(config), dropped)

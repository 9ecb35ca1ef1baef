"""Audio-MAE in timm's names: a vision transformer with a CLS token and no DIST.

    cls_token  pos_embed  patch_embed.proj.*  blocks.N.*  norm.*
    decoder*  mask_token                            of the pre-training
    fc_norm.*  head.*                               of its fine-tuning

Its input is (frames, bins), so that patches are listed frame by frame.
"""

from __future__ import annotations

from typing import Any

from petl.backbones.layouts.translated import (
    CLS,
    POSITION,
    Tensors,
    Translated,
    layers_of_timm,
    patches_of_timm,
    split,
    time_first,
)
from petl.config.front_end import BINS
from petl.errors import UserError

NAME = "an Audio-MAE in timm's names"
MARK = r"patch_embed\."
UNUSED = ("decoder", "mask_token", "head.")
NAMES = {"cls_token": CLS, "pos_embed": POSITION, **patches_of_timm("patch_embed")}
NORM_MOVED = "its norm stood behind the pooling (fc_norm), and normalises each token here"


def translate(tensors: Tensors, config: dict[str, Any]) -> Translated:
    model = config.get("model_args")
    model = model if isinstance(model, dict) else {}
    size = model.get("img_size")
    if isinstance(size, list) and size[1:] != [BINS]:
        raise UserError(f"its img_size is {size}; an Audio-MAE reads [frames, {BINS}]")
    norm = "norm" if "norm.weight" in tensors else "fc_norm"
    kept, dropped = split(tensors, UNUSED if norm == "fc_norm" else (*UNUSED, "fc_norm."))
    ends = {f"{norm}.{end}": f"layernorm.{end}" for end in ("weight", "bias")}
    ours = layers_of_timm(kept, NAMES | ends)
    facts = {"layer_norm_eps": 1e-6, **time_first(ours, special=1)}
    if "num_heads" in model:
        facts["num_attention_heads"] = model["num_heads"]
    notes = [NORM_MOVED] if norm == "fc_norm" and "fc_norm.weight" in tensors else []
    return Translated(ours, facts, dropped, notes=notes)

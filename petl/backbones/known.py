"""The shapes of backbones, without a download: to count, and for checkpoints that bring weights.

Of the three usual backbones the shape is written here; of any other, in its folder's config.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from petl.backbones.hub import is_published
from petl.backbones.library import BUILTIN, locate, read_config
from petl.errors import UserError

_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
_PATCHES = _BASE | {"layer_norm_eps": 1e-12, "qkv_bias": True, "patch_size": 16}

SHAPES: dict[str, dict[str, Any]] = {
    "MIT/ast-finetuned-audioset-10-10-0.4593": _PATCHES
    | {"frequency_stride": 10, "time_stride": 10, "max_length": 1024, "num_mel_bins": 128},
    "Simon-Kotchou/ssast-base-patch-audioset-16-16": _PATCHES
    | {"frequency_stride": 16, "time_stride": 16, "max_length": 1024, "num_mel_bins": 128},
    "google/vit-base-patch16-224-in21k": _PATCHES | {"image_size": 224, "num_channels": 3},
    "facebook/wav2vec2-base": _BASE
    | {
        "layer_norm_eps": 1e-5,
        "do_stable_layer_norm": False,
        "num_feat_extract_layers": 7,
        "conv_dim": [512] * 7,
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_bias": False,
        "feat_extract_norm": "group",
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
    },
}


def shape_of(source: str) -> dict[str, Any]:
    """The config of a backbone, without looking at its weights."""
    if source in SHAPES:
        return SHAPES[source]
    folder = BUILTIN / source.removeprefix("builtin:") if source[:8] == "builtin:" else Path(source)
    folder = folder.parent if folder.is_file() else folder
    if not (folder / "config.json").exists():
        if not is_published(source):
            locate(source)  # says so if there is nothing
        raise UserError(
            f"backbone.source: the shape of '{source}' is not known without a download; "
            f"give a folder with its config.json, or one of {', '.join(SHAPES)}"
        )
    return read_config(folder / "config.json")

"""The Audio Spectrogram Transformer: patches of a log-mel spectrogram, CLS and DIST tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.naming import Naming
from petl.backbones.patches import LAYERS, NEWER_LAYERS, PatchTokens, geometry
from petl.config.front_end import BINS

EXPECTED = {"model_type": "audio-spectrogram-transformer", "hidden_act": "gelu"}
NAMING = Naming(
    table=LAYERS
    | {"tokens.dist": "embeddings.distillation_token", "tokens.norm": "embeddings.norm"},
    newer=NEWER_LAYERS,
    prefix="audio_spectrogram_transformer.",
    leftovers=("classifier.",),
)


def make(
    c: dict[str, Any],
    settings: config.AST | None,
    special: tuple[str, ...] = ("cls", "dist"),
    norm: Literal["pre", "post"] = "pre",
) -> Encoder:
    """For spectrograms of the size it was trained on.

    The library's AST has a CLS and a DIST token, and norms before its branches. Other layouts may
    have CLS alone, or norms after the embeddings and after each branch.
    """
    size, strides = (c["num_mel_bins"], c["max_length"]), (c["frequency_stride"], c["time_stride"])
    shape = replace(geometry(c), norm=norm)
    return Encoder(shape, PatchTokens(c, size, strides, 1, special, norm == "post"))


def library_config(
    *,
    hidden: int,
    layers: int,
    heads: int,
    mlp: int,
    patch: int,
    frequency_stride: int,
    time_stride: int,
    frames: int,
    eps: float = 1e-12,
    qkv_bias: bool = True,
) -> dict[str, Any]:
    """config.json of an AST, as the library's ASTConfig writes it."""
    return {
        "architectures": ["ASTModel"],
        "model_type": "audio-spectrogram-transformer",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": mlp,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": eps,
        "qkv_bias": qkv_bias,
        "patch_size": patch,
        "frequency_stride": frequency_stride,
        "time_stride": time_stride,
        "max_length": frames,
        "num_mel_bins": BINS,
    }

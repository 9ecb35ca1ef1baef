"""The Audio Spectrogram Transformer: patches of a log-mel spectrogram, CLS and DIST tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from petl import config
from petl.backbones.encoder import Encoder, unwrap
from petl.backbones.naming import Naming
from petl.backbones.patches import LAYERS, NEWER_LAYERS, PatchTokens, geometry
from petl.config.front_end import BINS, RATE

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
    bins: int = BINS,
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
        "num_mel_bins": bins,
    }


def config_of(encoder: Encoder, frames: int) -> dict[str, Any]:
    """config.json of this encoder, which reads so many frames."""
    shape, patch, first = encoder.shape, encoder.tokens.patch, next(encoder.bare_layers())
    return library_config(
        hidden=shape.hidden,
        layers=shape.layers,
        heads=shape.heads,
        mlp=shape.mlp,
        patch=patch.kernel_size[0],
        frequency_stride=patch.stride[0],
        time_stride=patch.stride[1],
        frames=frames,
        eps=shape.eps,
        qkv_bias=unwrap(unwrap(first.attention).qkv).linear.bias is not None,
    )


def extractor_config(frames: int, mean: float, std: float) -> dict[str, Any]:
    """preprocessor_config.json: the library's extractor divides by 2 std, as we do."""
    return {
        "feature_extractor_type": "ASTFeatureExtractor",
        "feature_size": 1,
        "sampling_rate": RATE,
        "num_mel_bins": BINS,
        "max_length": frames,
        "padding_side": "right",
        "padding_value": 0.0,
        "do_normalize": True,
        "mean": mean,
        "std": std,
        "return_attention_mask": False,
    }

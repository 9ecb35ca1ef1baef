"""The Audio Spectrogram Transformer: patches of a log-mel spectrogram, CLS and DIST tokens."""

from __future__ import annotations

from functools import partial
from typing import Any

from petl import config
from petl.backbones import naming
from petl.backbones.encoder import Encoder
from petl.backbones.library import expect, read_checkpoint
from petl.backbones.patches import LAYERS, NEWER_LAYERS, PatchTokens, geometry
from petl.config.dataset import BINS

NAMING = naming.Naming(
    table=LAYERS | {"tokens.dist": "embeddings.distillation_token"},
    newer=NEWER_LAYERS,
    prefix="audio_spectrogram_transformer.",
    leftovers=("classifier.",),
)

shape_of = geometry
to_huggingface = partial(naming.to_huggingface, naming=NAMING)


def tokens_of(c: dict[str, Any], frames: int) -> PatchTokens:
    strides = (c["frequency_stride"], c["time_stride"])
    return PatchTokens(c, (c["num_mel_bins"], frames), strides, 1, ("cls", "dist"))


def build(settings: config.AST, frames: int) -> Encoder:
    """The encoder with its pre-trained weights, for spectrograms of this many frames."""
    c, tensors = read_checkpoint(settings.source)
    expect(c, settings.source, model_type="audio-spectrogram-transformer", hidden_act="gelu")
    own = tokens_of(c, c["max_length"])
    encoder = Encoder(shape_of(c), own)
    naming.load(encoder, tensors, NAMING, settings.source)
    own.resize((c["num_mel_bins"], frames), settings.position_embeddings)
    return encoder


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

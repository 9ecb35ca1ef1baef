"""The Audio Spectrogram Transformer: patches of a log-mel spectrogram, CLS and DIST tokens."""

from __future__ import annotations

from functools import partial
from typing import Any

from petl import config
from petl.backbones import naming
from petl.backbones.encoder import Encoder
from petl.backbones.library import expect, read_checkpoint
from petl.backbones.patches import LAYERS, NEWER_LAYERS, PatchTokens, geometry

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

"""Encoders by the family of their backbone: with their weights, or without.

A family's module makes the encoder of a checkpoint's config (`make`), and says what this config
must contain (`EXPECTED`) and how its tensors are named (`NAMING`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.known import shape_of
from petl.backbones.library import expect, read_checkpoint
from petl.backbones.naming import Naming, load_library
from petl.config.dataset import BINS


def naming_of(family: str) -> Naming:
    naming: Naming = _module(family).NAMING
    return naming


def build_encoder(settings: config.Backbone, frames: int) -> Encoder:
    """The encoder with its pre-trained weights, for clips of this many frames."""
    c, tensors = read_checkpoint(settings.source)
    family = _module(settings.family)
    expect(c, settings.source, **family.EXPECTED)
    encoder: Encoder = family.make(c, settings)
    load_library(encoder.state_dict(), tensors, family.NAMING, settings.source)
    if isinstance(settings, config.Patches):
        _resize(encoder, c, frames, settings.position_embeddings)
    return encoder


def bare_encoder(settings: config.Backbone, frames: int) -> Encoder:
    """The same encoder, with whatever is in its memory."""
    c = shape_of(settings.source)
    encoder: Encoder = _module(settings.family).make(c, None)
    if isinstance(settings, config.Patches):
        _resize(encoder, c, frames, "zeros")
    return encoder


def _module(family: str) -> Any:
    return import_module(f"petl.backbones.{family}")


def _resize(encoder: Encoder, c: dict[str, Any], frames: int, how: str) -> None:
    encoder.tokens.resize((c.get("num_mel_bins", BINS), frames), how)

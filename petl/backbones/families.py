"""Encoders by the family of their backbone: with their weights, or without.

A family's module makes the encoder of a checkpoint's config (`make`), and says what this config
must contain (`EXPECTED`) and how its tensors are named (`NAMING`).
"""

from __future__ import annotations

from dataclasses import astuple
from importlib import import_module
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.hub import Hub
from petl.backbones.known import shape_of
from petl.backbones.library import expect, locate, read_checkpoint, read_config
from petl.backbones.naming import Naming, load_library
from petl.config.dataset import BINS
from petl.errors import UserError

FACTORIES = (torch.empty, torch.ones, torch.zeros, torch.tensor)
MAX_LAYERS = 1000
FAMILIES = ("ast", "vit", "wav2vec2")


class OnMeta(TorchFunctionMode):
    """New tensors have a shape and no memory, as in PyTorch 2 under its `meta` device."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in FACTORIES:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def naming_of(family: str) -> Naming:
    naming: Naming = _module(family).NAMING
    return naming


def family_of(source: str) -> str:
    """The family whose encoder reads this checkpoint, from its config.json."""
    kind = read_config(locate(source)[0])["model_type"]
    kinds = {_module(family).EXPECTED["model_type"]: family for family in FAMILIES}
    if kind not in kinds:
        raise UserError(f"{source}: its model_type is {kind!r}; petl knows {', '.join(kinds)}")
    return kinds[kind]


def build_encoder(settings: config.Backbone, frames: int, hub: Hub | None = None) -> Encoder:
    """The encoder with its pre-trained weights, for clips of this many frames.

    It is made without memory first: if its shapes are not those of the weights, nothing is
    allocated, however large config.json says it is.
    """
    c, tensors = read_checkpoint(settings.source, hub)
    family = _module(settings.family)
    expect(c, settings.source, **family.EXPECTED)
    with OnMeta():
        bare = _make(c, settings)
    load_library(bare.state_dict(), tensors, family.NAMING, settings.source)
    encoder = _make(c, settings)
    load_library(encoder.state_dict(), tensors, family.NAMING, settings.source)
    if isinstance(settings, config.Patches):
        _resize(encoder, c, frames, settings.position_embeddings)
    return encoder


def bare_encoder(settings: config.Backbone, frames: int) -> Encoder:
    """The same encoder, with whatever is in its memory."""
    encoder = _make(c := shape_of(settings.source), settings, shape_only=True)
    if isinstance(settings, config.Patches):
        _resize(encoder, c, frames, "zeros")
    return encoder


def _make(c: dict[str, Any], settings: config.Backbone, shape_only: bool = False) -> Encoder:
    """Refuse a config.json that describes no encoder, or one that fails only when it computes."""
    try:
        if c["num_hidden_layers"] > MAX_LAYERS:
            raise ValueError(f"over {MAX_LAYERS} layers")
        encoder: Encoder = _module(settings.family).make(c, None if shape_only else settings)
        shape = encoder.shape
        strides = [m.stride for m in encoder.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)]
        if not all(type(n) is int and n > 0 for n in (shape.heads, *sum(strides, ()))):
            raise ValueError("heads and strides have to be positive whole numbers")
        if shape.hidden % shape.heads:
            raise ValueError(f"{shape.heads} heads do not divide {shape.hidden}")
        if not all(0 <= rate < 1 for rate in (shape.eps, *astuple(shape.dropout))):
            raise ValueError("a rate or layer_norm_eps is not between 0 and 1")
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        line = str(error).partition("\n")[0]
        raise UserError(f"{settings.source}: cannot use its config.json: {line}") from None
    return encoder


def _module(family: str) -> Any:
    return import_module(f"petl.backbones.{family}")


def _resize(encoder: Encoder, c: dict[str, Any], frames: int, how: str) -> None:
    encoder.tokens.resize((c.get("num_mel_bins", BINS), frames), how)

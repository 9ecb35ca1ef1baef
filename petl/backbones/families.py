"""Encoders by the family of their backbone: with their weights, or without.

A family's module makes the encoder of a checkpoint's config (`make`), and says what this config
must contain (`EXPECTED`) and how its tensors are named (`NAMING`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from petl import config
from petl.backbones import ast
from petl.backbones.encoder import Encoder, Origin
from petl.backbones.fresh import fresh as new_encoder
from petl.backbones.hub import Hub, is_published
from petl.backbones.known import SHAPES, shape_of
from petl.backbones.layouts.read import OWN_NAME, Checkpoint, layout_of, read_ast, read_bare
from petl.backbones.layouts.translated import DIST
from petl.backbones.library import expect, locate, read_checkpoint, read_config
from petl.backbones.naming import Naming, load_library
from petl.config.front_end import FILTER_BANK
from petl.errors import UserError
from petl.places import Places

FACTORIES = (torch.empty, torch.ones, torch.zeros, torch.tensor)
MAX_LAYERS = 1000
IMAGE_CHANNELS = 3
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
    """The family whose encoder reads this checkpoint: from its config.json, or from its layout."""
    config_file, weights = locate(source)
    kind = read_config(config_file).get("model_type") if config_file.exists() else None
    kinds = {_module(family).EXPECTED["model_type"]: family for family in FAMILIES}
    if kind in kinds:
        return kinds[kind]
    tensors = read_bare(weights)
    if layout_of(tensors, source) != OWN_NAME or (kind is None and DIST in tensors):
        return "ast"
    raise UserError(f"{source}: its model_type is {kind!r}; petl knows {', '.join(kinds)}")


def build_encoder(
    settings: config.Backbone,
    frames: int,
    hub: Hub | None = None,
    front_end: config.FrontEnd = FILTER_BANK,
) -> Encoder:
    """The encoder with its pre-trained weights, for clips of this many frames.

    It is made without memory first: if its shapes are not those of the weights, nothing is
    allocated, however large config.json says it is.
    """
    if isinstance(settings, config.AST) and settings.shape is not None:
        encoder = new_encoder(_shape(settings, frames, front_end).config)
        encoder.origin = Origin("none", 0, {}, ("everything",), grids=(encoder.tokens.grid,))
        return encoder
    found = _read(settings, hub)
    family = _module(settings.family)
    expect(found.config, settings.source, **family.EXPECTED)
    with OnMeta():
        bare = _make(found, settings)
    load_library(bare.state_dict(), found.tensors, family.NAMING, settings.source)
    encoder = _make(found, settings)
    left = load_library(encoder.state_dict(), found.tensors, family.NAMING, settings.source)
    before, fresh = grid_of(encoder), False
    if isinstance(settings, config.Patches):
        _fit(encoder, settings, frames, front_end, settings.position_embeddings)
        fresh = before != grid_of(encoder) and settings.position_embeddings == "zeros"
    encoder.origin = Origin(
        layout=found.layout,
        taken=len(found.tensors) - len(left),
        dropped=dict(Counter(name.partition(".")[0] for name in (*found.dropped, *left))),
        new=("position embeddings",) if fresh else (),
        notes=tuple(found.notes),
        grids=tuple(grid for grid in (before, grid_of(encoder)) if grid),
    )
    return encoder


def _read(settings: config.Backbone, hub: Hub | None) -> Checkpoint:
    if isinstance(settings, config.AST):
        return read_ast(settings.source, hub)
    return Checkpoint(OWN_NAME, *read_checkpoint(settings.source, hub))


def bare_encoder(
    settings: config.Backbone, frames: int, front_end: config.FrontEnd = FILTER_BANK
) -> Encoder:
    """The same encoder, with whatever is in its memory."""
    encoder = _make(_shape(settings, frames, front_end), settings, shape_only=True)
    if isinstance(settings, config.Patches):
        _fit(encoder, settings, frames, front_end, "zeros")
    return encoder


def _shape(settings: config.Backbone, frames: int, front_end: config.FrontEnd) -> Checkpoint:
    """From config.json if it is the library's; else the tensors have to be read."""
    if isinstance(settings, config.AST) and settings.shape is not None:
        bins = front_end.bins_of(frames)
        new = ast.library_config(**settings.shape.model_dump(), frames=frames, bins=bins)
        return Checkpoint(OWN_NAME, new, {})
    source = settings.source
    if is_published(source) and source not in SHAPES:
        source = str(Hub.of(Places.choose()).snapshot(source) or source)
    if isinstance(settings, config.AST) and Path(source).exists():
        config_file, _ = locate(source)
        if not config_file.exists() or "num_hidden_layers" not in read_config(config_file):
            return read_ast(source)
    return Checkpoint(OWN_NAME, shape_of(source), {})


def _make(found: Checkpoint, settings: config.Backbone, shape_only: bool = False) -> Encoder:
    """Refuse a config.json that describes no encoder, or one that fails only when it computes."""
    c, family = found.config, _module(settings.family)
    try:
        if c["num_hidden_layers"] > MAX_LAYERS:
            raise ValueError(f"over {MAX_LAYERS} layers")
        encoder: Encoder = family.make(c, None if shape_only else settings, **found.variant)
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


def _fit(
    encoder: Encoder, settings: config.Patches, frames: int, front_end: config.FrontEnd, how: str
) -> None:
    """Read what the dataset's front end makes."""
    if settings.pooling == "cls+dist" and encoder.special < 2:
        raise UserError(
            f"backbone.pooling: 'cls+dist' needs a DIST token, and {settings.source} has "
            "CLS alone; choose all, cls or speech"
        )
    tokens = encoder.tokens
    if front_end.is_image and tokens.channels != IMAGE_CHANNELS:
        raise UserError(
            f"{settings.source} reads {tokens.channels} channel and dataset.front_end 'image' is "
            f"for {IMAGE_CHANNELS}: choose front_end 'mel', or a ViT trained on photographs"
        )
    tokens.is_image = front_end.is_image
    stride = settings.stride
    strides = None if stride is None else (stride.frequency, stride.time)
    tokens.resize((front_end.bins_of(frames), frames), how, strides)


def grid_of(encoder: Encoder) -> tuple[int, int] | None:
    """Rows and columns of patches; None for an encoder of waveforms."""
    return getattr(encoder.tokens, "grid", None)

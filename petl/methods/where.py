"""Which layers and which branches get a module."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from petl import config
from petl.backbones.encoder import Encoder, Layer, Wrap
from petl.errors import UserError

NAMED = {"pfeiffer": ("ffn",), "houlsby": ("attention", "ffn")}


def branches(placement: config.Placement) -> tuple[str, ...]:
    return NAMED[placement] if isinstance(placement, str) else placement


def indices(encoder: Encoder, chosen: config.LayerChoice) -> tuple[int, ...]:
    have = encoder.shape.layers
    if isinstance(chosen, str):
        return tuple(range(have))
    if chosen[-1] >= have:
        raise UserError(
            f"method.layers: there is no layer {chosen[-1]}; the backbone has layers 0-{have - 1}"
        )
    return chosen


def layers(encoder: Encoder, chosen: config.LayerChoice) -> Iterator[Layer]:
    bare = list(encoder.bare_layers())
    yield from (bare[i] for i in indices(encoder, chosen))


def put(owner: nn.Module, name: str, wrap: Wrap) -> None:
    """A wrapper around a part of a layer that the encoder has no named place for."""
    setattr(owner, name, wrap(getattr(owner, name)))

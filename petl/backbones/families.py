"""Backbones: one encoder, and for each family its embeddings and the names of its weights."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from petl import config
from petl.backbones.encoder import Encoder


def family(name: str) -> ModuleType:
    """A family's module: `build`, and `NAMING` of its weights."""
    return import_module(f"petl.backbones.{name}")


def build(settings: config.Backbone, frames: int) -> Encoder:
    encoder: Encoder = family(settings.family).build(settings, frames)
    return encoder

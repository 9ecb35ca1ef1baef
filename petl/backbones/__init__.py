"""Backbones: one encoder, and for each family its embeddings and the names of its weights."""

from __future__ import annotations

from petl import config
from petl.backbones.encoder import Encoder


def build(settings: config.Backbone, frames: int) -> Encoder:
    from petl.backbones import ast

    return {"ast": ast.build}[settings.family](settings, frames)

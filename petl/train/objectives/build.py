"""The model of a task: one that answers, or one that learns without labels."""

from __future__ import annotations

import torch
from torch import nn

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.families import build_encoder
from petl.backbones.hub import Hub
from petl.data.load import TaskData
from petl.errors import UserError
from petl.model.build import build_model
from petl.train.objectives.base import SelfSupervised, sounding
from petl.train.objectives.masked_patches import MaskedPatches
from petl.train.objectives.reconstruct import Reconstruct

PATCH = 16
"""Frames: a clip that ends this much before the input does leaves whole patches empty."""


def build(
    task: config.Task, statistics: config.Statistics | None, hub: Hub | None = None
) -> nn.Module:
    """The task's model. New modules use the global random generator: seed it first."""
    if task.objective is None:
        return build_model(task, hub)
    assert statistics is not None  # of spectrograms
    return self_supervised(task, statistics, hub)


def self_supervised(
    task: config.Task, statistics: config.Statistics, hub: Hub | None = None
) -> SelfSupervised:
    encoder = build_encoder(task.backbone, task.dataset.frames, hub)
    _refuse_other_encoders(encoder, task.backbone.source)
    encoder.layer_checkpointing = task.train.layer_checkpointing == "on"
    if isinstance(task.objective, config.MaskedPatches):
        return MaskedPatches(encoder, task.objective, statistics, task.backbone.source)
    assert task.objective is not None
    return Reconstruct(encoder, task.objective, statistics)


def _refuse_other_encoders(encoder: Encoder, source: str) -> None:
    """What is pre-trained is written as the library's AST, before long training is in vain."""
    special = getattr(encoder.tokens, "special_names", ())
    if special != ("cls", "dist") or encoder.shape.norm != "pre":
        raise UserError(
            f"backbone.source: pre-training goes on from the library's AST, with CLS and DIST and "
            f"a final LayerNorm; {source} is another encoder"
        )


def refuse_padding(task: config.Task, data: TaskData) -> None:
    """Clips without sound teach nothing, and an input longer than all of them is padding."""
    corpus, frames, longest = task.dataset.corpus, task.dataset.frames, 0
    for clip in data.split.train:
        sound = sounding(torch.from_numpy(data.inputs[[clip]])).nonzero()
        longest = max(longest, int(sound[:, 1].max()) + 1 if len(sound) else 0)
        if longest > frames - PATCH:
            return
    if not longest:
        raise UserError(f"{corpus}: no training clip holds sound, not even 25 ms of it")
    if getattr(task.objective, "target", "sound") == "sound":
        raise UserError(
            f"dataset.frames: {frames} frames of 10 ms are longer than every training clip of "
            f"{corpus}; the longest has {longest}"
        )

"""Clips as points: what two frozen encoders make of them, and mel statistics without a network.

(none)   the study's backbone, as it is before any training; the mean of its tokens
second   the small AST that comes with petl. Where the study's backbone is that one, an AST of its
         shape with random weights, always the same ones: random networks tell sets of pictures
         apart, too (Naeem et al. 2020)
mel      mean and deviation over time of each mel bin

Names of metrics end in these. A whole clip goes through an encoder at once, with no gradient.
Spectrograms are normalised with the study's statistics; those of a front end that has normalised
each clip by itself stay as they are for the backbone, and are halved for the second encoder, which
expects a deviation of 0.5. For clips of another shape, the second encoder's position embeddings are
interpolated; fewer bins than its patch has are padded. It was trained on the AST's filter bank. On
decibels or other bins it still tells two sets apart, but its values under one front end cannot be
compared with those under another one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.families import build_encoder
from petl.backbones.hub import Hub
from petl.config.front_end import FILTER_BANK
from petl.data.features import normalise
from petl.data.ridge import PIECE, mel_statistics
from petl.generate.measures.measured import Embed

SMALL = "builtin:small"
PATCH = 16
RANDOM = config.Shape(hidden=64, layers=4, heads=4, mlp=256, patch=PATCH)
SEED = 0
"""Of random weights, whatever the run's seed is: runs are compared."""
BATCH = 16
BY_CLIP = config.Statistics(mean=0.0, std=1.0)
"""Of spectrograms that a front end has normalised clip by clip."""


def encoders(
    task: config.Task,
    statistics: config.Statistics | None,
    bins: int,
    device: torch.device | str = "cpu",
    hub: Hub | None = None,
) -> dict[str, Embed]:
    """By the ending of their metrics' names; `statistics` and `bins` are those of the data."""
    dataset = task.dataset

    def own(x: Tensor) -> Tensor:
        return x if statistics is None else normalise(x, statistics)

    def others(x: Tensor) -> Tensor:
        x = normalise(x, statistics or BY_CLIP)
        return F.pad(x, (0, max(0, PATCH - bins)))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        backbone = build_encoder(task.backbone, dataset.frames, hub, dataset.front_end)
        second = second_encoder(task.backbone, max(bins, PATCH), dataset.frames)
    return {
        "": _embed(backbone.to(device), own),
        "second": _embed(second.to(device), others),
        "mel": _pieces(lambda piece: mel_statistics(piece), PIECE),
    }


def second_encoder(backbone: config.Backbone, bins: int, frames: int) -> Encoder:
    """It uses the global random generator: seed it first."""
    random = backbone.source == SMALL
    settings = config.AST(
        family="ast",
        source="new" if random else SMALL,
        shape=RANDOM if random else None,
        position_embeddings="interpolate",
        pooling="all",
    )
    encoder = build_encoder(settings, frames, front_end=FILTER_BANK)
    encoder.tokens.resize((bins, frames), "interpolate")
    return encoder


def _embed(encoder: Encoder, prepare: Callable[[Tensor], Tensor]) -> Embed:
    encoder.eval().requires_grad_(False)
    device = next(encoder.parameters()).device

    @torch.no_grad()
    def embed(piece: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.asarray(piece, dtype=np.float32)).to(device)
        means: np.ndarray = encoder(prepare(x)).mean(dim=1).double().cpu().numpy()
        return means

    return _pieces(embed, BATCH)


def _pieces(embed: Callable[[np.ndarray], np.ndarray], size: int) -> Embed:
    """A few clips at a time, so that a memory map is never loaded as a whole."""

    def whole(inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        starts = range(0, len(rows), size)
        return np.concatenate([embed(inputs[rows[start : start + size]]) for start in starts])

    return whole

"""`petl pretrain`: a small AST learns made sounds, so that methods have something to transfer.

The result is a checkpoint in the library's own format, read like any other backbone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from petl.backbones import ast
from petl.backbones.encoder import Encoder
from petl.backbones.library import BUILTIN
from petl.config.base import Count, Rate, Seed, Settings
from petl.config.dataset import BINS, Statistics
from petl.config.validate import validate
from petl.config.yamlfile import read_yaml
from petl.data.features import normalise, spectrogram
from petl.data.made.pretraining import KINDS, pretraining_sounds
from petl.errors import UserError
from petl.files import write_atomic
from petl.model.build import Model
from petl.train.optim import cosine
from petl.train.seeding import derive, generator, seeded

SMALL = BUILTIN / "small"
HELD_OUT = 10  # one clip in ten measures, the others teach


class Shape(Settings):
    hidden: Count
    layers: Count
    heads: Count
    mlp: Count
    patch: Count
    frequency_stride: Count
    time_stride: Count


class Pretrain(Settings):
    seed: Seed
    threads: Count
    shape: Shape
    frames: Annotated[int, Field(ge=16)]
    statistics: Statistics
    clips: Annotated[int, Field(ge=20)]
    epochs: Count
    batch_size: Count
    lr: Rate
    warm_up: Annotated[int, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0)]


def pretrain_checkpoint(settings_file: Path, out: Path, report: Callable[[str], None]) -> Path:
    """Train by the settings; write config.json and model.safetensors where none is yet."""
    weights = out / "model.safetensors"
    if weights.exists():
        raise UserError(f"{weights}: exists already; choose another --out")
    source = read_yaml(settings_file)
    settings = validate(Pretrain, source.data, source.where)
    torch.set_num_threads(settings.threads)
    started = time.perf_counter()
    x, y = _sounds(settings)
    report(f"{len(y)} sounds of {len(KINDS)} kinds ({time.perf_counter() - started:.0f} s)")
    with seeded(settings.seed, 0, "init"):
        model = _fresh_model(settings)
    _train(model, x, y, settings, report)
    _save(model.backbone, settings, out)
    return weights


def huggingface_config(settings: Pretrain) -> dict[str, object]:
    """config.json as the library's ASTConfig writes it."""
    shape = settings.shape
    return {
        "architectures": ["ASTModel"],
        "model_type": "audio-spectrogram-transformer",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.mlp,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": 1e-12,
        "qkv_bias": True,
        "patch_size": shape.patch,
        "frequency_stride": shape.frequency_stride,
        "time_stride": shape.time_stride,
        "max_length": settings.frames,
        "num_mel_bins": BINS,
    }


def _sounds(settings: Pretrain) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(derive(settings.seed, 0, "sounds"))
    waves, labels = pretraining_sounds(rng, settings.clips)
    spectrograms = np.stack([spectrogram(wave, settings.frames) for wave in waves])
    return normalise(torch.from_numpy(spectrograms), settings.statistics), torch.from_numpy(labels)


def _fresh_model(settings: Pretrain) -> Model:
    c = huggingface_config(settings)
    encoder = Encoder(ast.shape_of(c), ast.tokens_of(c, settings.frames))
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    tokens = encoder.tokens
    for token in (tokens.cls, tokens.dist, tokens.position):
        nn.init.trunc_normal_(token, std=0.02)
    nn.init.normal_(tokens.patch.weight, std=0.1)  # spectrograms are small numbers here
    nn.init.zeros_(tokens.patch.bias)
    return Model(encoder, "all", 0, encoder.shape.hidden, len(KINDS))


def _train(
    model: Model, x: Tensor, y: Tensor, settings: Pretrain, report: Callable[[str], None]
) -> None:
    held_out = torch.arange(len(y)) % HELD_OUT == 0
    x_train, y_train, x_test, y_test = x[~held_out], y[~held_out], x[held_out], y[held_out]
    steps = -(-len(y_train) // settings.batch_size)
    adamw = torch.optim.AdamW(
        model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )
    schedule = cosine(adamw, settings.epochs * steps, settings.warm_up)
    for epoch in range(1, settings.epochs + 1):
        started = time.perf_counter()
        model.train()
        order = torch.randperm(len(y_train), generator=generator(settings.seed, 0, "order", epoch))
        for chosen in order.split(settings.batch_size):
            loss = F.cross_entropy(model(x_train[chosen]), y_train[chosen])
            adamw.zero_grad(set_to_none=True)
            loss.backward()
            adamw.step()
            schedule.step()
        accuracy = _accuracy(model, x_test, y_test)
        seconds = time.perf_counter() - started
        report(
            f"epoch {epoch}/{settings.epochs}  held-out accuracy {accuracy:.3f}  ({seconds:.0f} s)"
        )


@torch.no_grad()
def _accuracy(model: Model, x: Tensor, y: Tensor) -> float:
    model.eval()
    hits = [
        model(part).argmax(dim=1) == target
        for part, target in zip(x.split(256), y.split(256), strict=True)
    ]
    return torch.cat(hits).double().mean().item()


def _save(encoder: Encoder, settings: Pretrain, out: Path) -> None:
    from safetensors.torch import save

    out.mkdir(parents=True, exist_ok=True)
    tensors = ast.to_huggingface(encoder.state_dict())
    config = json.dumps(huggingface_config(settings), indent=2) + "\n"
    write_atomic(out / "config.json", config.encode())
    write_atomic(out / "model.safetensors", save(tensors, {"format": "pt"}))

"""`petl pretrain`: train a small AST on synthetic sounds, so that methods have a backbone to adapt.

The result is a checkpoint in the library's format, which petl reads like any other backbone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from petl.backbones import ast
from petl.backbones.encoder import Encoder
from petl.backbones.fresh import fresh
from petl.backbones.library import BUILTIN
from petl.backbones.naming import to_huggingface
from petl.config.backbone import Shape
from petl.config.base import Count, Rate, Seed, Settings
from petl.config.dataset import Statistics
from petl.config.validate import validate
from petl.config.yamlfile import read_yaml
from petl.data.features import normalise, spectrogram
from petl.data.synthetic.pretraining import KINDS, pretraining_sounds
from petl.errors import UserError
from petl.files import write_output
from petl.model.build import Model
from petl.model.head import build_head
from petl.train.optim import cosine
from petl.train.seeding import derive, generator, seeded

SMALL = BUILTIN / "small"
HELD_OUT = 10
"""One clip in ten is held out for the accuracy."""


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
    """Train as the settings say; write config.json and model.safetensors to a new folder."""
    weights = out / "model.safetensors"
    if os.path.lexists(weights):
        raise UserError(f"{weights} exists already; choose another folder with --out")
    there = next(p for p in (out, *out.absolute().parents) if os.path.lexists(p))
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):  # before the long training
        raise UserError(f"cannot write {out}: {there} is not a folder that you may write to")
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


def _library_config(settings: Pretrain) -> dict[str, object]:
    return ast.library_config(**settings.shape.model_dump(), frames=settings.frames)


def _sounds(settings: Pretrain) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(derive(settings.seed, 0, "sounds"))
    waves, labels = pretraining_sounds(rng, settings.clips)
    spectrograms = np.stack([spectrogram(wave, settings.frames) for wave in waves])
    return normalise(torch.from_numpy(spectrograms), settings.statistics), torch.from_numpy(labels)


def _fresh_model(settings: Pretrain) -> Model:
    encoder = fresh(_library_config(settings))
    return Model(encoder, build_head(encoder.shape.hidden, len(KINDS)))


def _train(
    model: Model, x: Tensor, y: Tensor, settings: Pretrain, report: Callable[[str], None]
) -> None:
    held_out = torch.arange(len(y)) % HELD_OUT == 0
    x_train, y_train, x_test, y_test = x[~held_out], y[~held_out], x[held_out], y[held_out]
    steps = -(-len(y_train) // settings.batch_size)
    decay = settings.weight_decay
    adamw = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=decay)
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
        accuracy, seconds = _accuracy(model, x_test, y_test), time.perf_counter() - started
        text = f"epoch {epoch}/{settings.epochs}  held-out accuracy {accuracy:.3f}"
        report(f"{text}  ({seconds:.0f} s)")


@torch.no_grad()
def _accuracy(model: Model, x: Tensor, y: Tensor) -> float:
    model.eval()
    predicted = torch.cat([model(batch).argmax(dim=1) for batch in x.split(256)])
    return (predicted == y).double().mean().item()


def _save(encoder: Encoder, settings: Pretrain, out: Path) -> None:
    from safetensors.torch import save

    config = json.dumps(_library_config(settings), indent=2) + "\n"
    write_output(out / "config.json", config.encode())
    tensors = to_huggingface(encoder.state_dict(), ast.NAMING)
    write_output(out / "model.safetensors", save(tensors, {"format": "pt"}))

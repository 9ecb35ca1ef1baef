"""Memory that a forward pass keeps for the backward pass, without parameters.

    python -m benchmarks.memory [--quick]

First for one clip, ours and the library's. Then for a batch of 32 of the two recipes for music
emotion with LoRA: measured for one, two and three clips. Each clip more adds as many bytes, which
is checked, and so the batch's are computed from them exactly.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.front_ends import AST, VIT
from benchmarks.full_size import FULL, QUICK, Library, Size, attentions, clips, machine, ours
from petl.backbones.families import bare_encoder
from petl.config.python import model_task
from petl.model.build import Model, assemble
from petl.train.failures.memory import kept

BATCH = 32
MEL = {"kind": "mel", "seconds": 10.0, **AST}
RECIPES = {
    "ViT, image of 224 x 224": ("vit", 224, {"kind": "image", "seconds": 30.0, **VIT}),
    "AST, 501 frames": ("ast", 501, MEL),
    "AST, stretched to 1,024 frames": ("ast", 1024, MEL | {"stretch": True}),
}


def measure(size: Size) -> dict[str, tuple[float, float]]:
    """MB, and the loss, which shows that all models compute the same."""
    rows = {}
    models = {
        "ours": lambda: ours(size),
        "ours, layer_checkpointing: on": lambda: ours(size, layer_checkpointing=True),
    }
    for attention in attentions():
        models[f"the library's, {attention}"] = lambda a=attention: Library(size, a)
    for name, make in models.items():
        model, (x, y) = make(), clips(size, 1)
        rows[name] = sum(kept(model, x)) / 1e6, F.cross_entropy(model(x), y).item()
    return rows


def recipe(backbone: str, frames: int, front_end: Mapping[str, Any]) -> tuple[Model, int]:
    """LoRA on a backbone of full size with random weights, and how high its inputs are."""
    dataset = {"classes": 2, "frames": frames, "front_end": front_end, "statistics": "clip"}
    task = model_task("lora", {"like": backbone}, dataset, "as-intended")
    torch.manual_seed(0)
    encoder = bare_encoder(task.backbone, frames, task.dataset.front_end)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(0, 0.02)
    return assemble(encoder, task).train(), task.dataset.bins


def of_batch(model: Model, frames: int, bins: int) -> float:
    """GB for a batch."""
    one, two, three = (sum(kept(model, torch.rand(n, frames, bins))) for n in (1, 2, 3))
    if three - two != two - one:
        raise SystemExit(f"not linear in the clips: {one}, {two} and {three} bytes")
    return (one + (BATCH - 1) * (two - one)) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model; only the first table")
    arguments = parser.parse_args()
    print(machine())
    print(f"{'kept for the backward pass of one clip':40s} {'MB':>8s} {'loss':>9s}")
    for name, (mb, loss) in measure(QUICK if arguments.quick else FULL).items():
        print(f"{name:40s} {mb:8.1f} {loss:9.5f}")
    if arguments.quick:
        return
    title = f"GB kept for {BATCH} clips, with LoRA"
    print(f"{title:40s} {'off':>8s} {'on':>9s}   (layer_checkpointing)")
    for name, settings in RECIPES.items():
        model, bins = recipe(*settings)
        off = of_batch(model, settings[1], bins)
        model.backbone.layer_checkpointing = True
        print(f"{name:40s} {off:8.2f} {of_batch(model, settings[1], bins):9.2f}")


if __name__ == "__main__":
    main()

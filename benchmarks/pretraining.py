"""A step of each objective, beside a full forward and backward pass, and what it keeps in memory.

    python -m benchmarks.pretraining [--shape small] [--frames 500] [--batch 8] [--rounds 3]

"a full step" trains the same encoder with a linear head on all patches. "kept" is what the forward
pass keeps for the backward pass, parameters left out. Seconds are the processor's, of one thread,
so that other load changes them little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.full_size import machine
from petl import config
from petl.config.study import study_of
from petl.model.build import build_model
from petl.train.failures.memory import kept
from petl.train.objectives.build import self_supervised

STATISTICS = config.Statistics(mean=-4.0, std=4.0)
FULL = "a full step"


def task_of(objective: dict[str, Any], backbone: str, frames: int) -> config.Task:
    matrix = {"dataset": "esc50", "backbone": backbone, "method": "full", "fold": 0, "seed": 0}
    settings = {"dataset": {"frames": frames, "spec_augment": None}}
    study: dict[str, Any] = {"matrix": matrix, "set": settings}
    with_it = {"objective": objective} if objective else {}
    return study_of(study | with_it, "benchmark").tasks[0]


def trainer(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-4)
    labels = torch.zeros(len(x), dtype=torch.long)

    def step() -> None:
        found = model(x)
        loss = found.mean() if found.dim() == 1 else F.cross_entropy(found, labels)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        adamw.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=["", "tiny", "small", "base"], default="small")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    backbone = f"ast-new-{arguments.shape}".rstrip("-")
    torch.set_num_threads(1)
    print(machine())
    x = torch.randn(arguments.batch, arguments.frames, 128) - 4
    models: dict[str, nn.Module] = {FULL: build_model(task_of({}, backbone, arguments.frames))}
    for kind in ("reconstruct", "masked-patches"):
        task = task_of({"kind": kind}, backbone, arguments.frames)
        models[kind] = self_supervised(task, STATISTICS)
    for model in models.values():
        model.train()
    memory = {name: sum(kept(model, x)) / 1e6 for name, model in models.items()}
    steps = {name: trainer(model, x) for name, model in models.items()}
    taken = {name: float("inf") for name in steps}
    for _ in range(arguments.rounds + 1):  # the first warms up, and is never the fastest
        for name, step in steps.items():
            started = time.process_time()
            step()
            taken[name] = min(taken[name], time.process_time() - started)
    print(f"{backbone}, {arguments.frames} frames, batch {len(x)}, float32, one thread")
    for name, seconds in taken.items():
        print(
            f"{name:16}{seconds:8.3f} s  {len(x) / seconds:7.1f} clips/s  "
            f"{seconds / taken[FULL]:5.2f} of a full step  {memory[name]:7.0f} MB kept"
        )


if __name__ == "__main__":
    main()

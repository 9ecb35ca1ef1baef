"""Made-up runs of a generator: curves, measures with their floor and intervals, from a share."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from petl.config import Flow, Task
from petl.runs.result import Scores

ENCODERS = ("", "_second", "_mel")
REAL = 0.99
"""Real clips of two halves are not quite alike."""


def scores(score: float) -> Scores:
    """Of clips that are as good as this share of what is possible: 1 is real clips."""
    far = 1 - score
    found: Scores = {}
    for i, ending in enumerate(ENCODERS):
        wide = 1 + 0.2 * i
        found[f"kernel_distance{ending}"] = 20 * far * wide
        found[f"frechet_distance{ending}"] = (4 + 60 * far) * wide
        found[f"density{ending}"] = 0.98 - 0.8 * far
        found[f"coverage{ending}"] = 0.9 * score
    return found


def floors() -> dict[str, Scores]:
    return {"real": scores(REAL)}


def intervals(score: float) -> dict[str, dict[str, list[float]]]:
    return {"test_last": _around(scores(score)), "real": _around(scores(REAL))}


def _around(found: Scores) -> dict[str, list[float]]:
    return {name: [0.9 * value, 1.1 * value] for name, value in found.items()}


def history(task: Task, end: float, random: Random) -> list[dict[str, Any]]:
    """What each step tells, averaged over an epoch, and every few epochs a look at samples."""
    settings, epochs = task.generator, task.train.epochs
    assert settings is not None
    seconds, rows = random.uniform(8, 40), []
    for epoch in range(1, epochs + 1):
        learned = 1 - math.exp(-4 * epoch / epochs)

        def near(value: float) -> float:
            return value * math.exp(random.gauss(0, 0.02))

        if isinstance(settings, Flow):
            told = {"gradient_velocity": near(2 - learned)}
            loss = near(1 - 0.6 * learned)
        else:
            told = {"loss_generator": near(0.7 + 0.5 * learned)}
            told |= {"loss_discriminator": near(0.7 - 0.1 * learned)}
            told |= {"right_real": near(0.5 + 0.2 * learned)}
            told |= {"right_synthetic": near(0.55 + 0.2 * learned)}
            told |= {"gradient_generator": near(0.5), "gradient_discriminator": near(3 - learned)}
            loss = told["loss_generator"]
        if epoch % settings.look_every == 0 or epoch == epochs:
            told["diversity"] = near(0.4 + 0.5 * learned)
            told["val_kernel_distance_mel"] = near(28 * (1 - end * learned))
        row: dict[str, Any] = {"epoch": epoch, "train_loss": loss, **told, "lr": task.train.lr}
        rows.append({**row, "seconds": seconds * random.uniform(0.97, 1.05)})
    return rows

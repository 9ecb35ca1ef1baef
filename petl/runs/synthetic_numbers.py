"""Made-up runs of a regression: metrics, floors and answers that follow from a chosen CCC."""

from __future__ import annotations

import math
from random import Random

from petl.config import Task
from petl.runs.predictions import content
from petl.runs.result import Result, Scores

CLIPS = 40


def scores(task: Task, score: float) -> Scores:
    """The other metrics follow from the CCC."""
    found: Scores = {}
    error, dataset = math.sqrt(max(0.0, 1 - score)), task.dataset
    spread = dataset.scale.spread if dataset.scale else 1.0
    values = {"mae": 0.8 * error, "rmse": error, "ccc": score, "pearson": min(1.0, score + 0.01)}
    values |= {"r2": score, "unscaled_mae": spread * values["mae"], "unscaled_rmse": spread * error}
    for name, value in values.items():
        found |= {name: value} | {f"{name}_{target}": value for target in dataset.targets}
    return found | {"loss": error**2}


def floors(task: Task) -> dict[str, Scores]:
    return {"constant": scores(task, 0.0), "ridge": scores(task, 0.4)}


def predictions(task: Task, result: Result) -> bytes | None:
    """Answers are pulled to the middle, and scattered, by what the CCC lacks."""
    random = Random(f"{task.names.dataset} {task.fold}")  # the same clips for all methods
    truth = [[random.gauss(0, 0.3) for _ in task.dataset.targets] for _ in range(CLIPS)]
    noise = Random(task.run_id)

    def heard(score: float) -> list[list[float]]:
        scatter = 0.3 * math.sqrt(max(0.0, score * (1 - score)))
        return [[score * value + noise.gauss(0, scatter) for value in row] for row in truth]

    metrics = result["metrics"]
    after = {
        "test_last": heard(metrics["test_last"]["ccc"]),
        "test_best": heard(metrics["test_best"]["ccc"]),
    }
    clips = [f"{task.fold}-{i}.wav" for i in range(CLIPS)]
    return content(task.run_id, task.dataset.targets, clips, truth, after)

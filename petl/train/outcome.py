"""What training ends with: the best epoch, the metrics of the test, and result.json."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.backbones.encoder import Origin
from petl.config.task import SMALL_MB, Weights
from petl.data.load import TaskData
from petl.model.build import Model, count_parameters
from petl.runs.result import (
    Environment,
    LoadedBackbone,
    Metrics,
    PerClass,
    Result,
    Scores,
    SyntheticClips,
    Timing,
    new_result,
)
from petl.train.floors import floors
from petl.train.metrics import Objective, objective
from petl.train.regression import Regression


@dataclass
class Best:
    """The epoch with the best validation so far; a loss has its sign changed in the score."""

    score: float = -float("inf")
    epoch: int = 0
    scores: Scores = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def is_beaten_by(self, score: float, least: float = 0.0) -> bool:
        """By more than the least improvement: not by an equal score, and not by NaN."""
        return score > self.score + least


@dataclass
class Outcome:
    metrics: Metrics
    best_epoch: int
    epochs: int
    confusion: dict[str, list[list[int]] | None]
    per_class: dict[str, PerClass | None]
    weights: dict[str, Tensor]
    """The weights that the task keeps; empty if it keeps none."""
    outputs: dict[str, np.ndarray]
    """Of the test clips, after the last and the best epoch."""
    floors: dict[str, Scores] | None = None
    """Of a generator: the same measures of real clips."""
    intervals: dict[str, dict[str, list[float]]] | None = None


def measured(
    learns: Objective,
    tested: dict[str, tuple[Tensor, Tensor]],
    songs: np.ndarray | None,
    best: Best,
    *,
    epochs: int,
    weights: dict[str, Tensor],
) -> Outcome:
    """`tested`: outputs and targets of the test clips, as `test_last` and as `test_best`."""
    test_last, test_best = (learns.measure(*tested[at], songs) for at in ("test_last", "test_best"))
    return Outcome(
        {"test_last": test_last, "test_best": test_best, "val_best": best.scores},
        best_epoch=best.epoch,
        epochs=epochs,
        confusion={at: learns.confusion(*found) for at, found in tested.items()},
        per_class={at: learns.per_class(*found) for at, found in tested.items()},
        weights=weights,
        outputs={at: outputs.cpu().numpy() for at, (outputs, _) in tested.items()},
    )


def kept(wanted: Weights, last: dict[str, Tensor], best: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that the task keeps. What is trained has the same size in every epoch."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in last.values())
    epoch, _, small = wanted.partition("-")
    if epoch == "none" or (small and size >= SMALL_MB * 1e6):
        return {}
    return last if epoch == "last" else best


def result_of(
    task: config.Task,
    data: TaskData,
    model: Model,
    outcome: Outcome,
    *,
    frozen: str,
    timing: Timing,
    environment: Environment,
) -> Result:
    statistics, learns = data.statistics, objective(task)
    return new_result(
        task,
        classes=data.classes,
        statistics=statistics.model_dump() if statistics else None,
        clips={part: len(clips) for part, clips in vars(data.split).items()},
        floors=floors(data, learns) if isinstance(learns, Regression) else None,
        synthetic_clips=_synthetic_clips(task, data),
        params=count_parameters(model),
        metrics=outcome.metrics,
        confusion=outcome.confusion,
        per_class=outcome.per_class,
        best_epoch=outcome.best_epoch,
        epochs=outcome.epochs,
        frozen_cache=frozen,
        timing=timing,
        peak_memory_mb=peak_memory_mb(next(model.parameters()).device),
        backbone=loaded(model.backbone.origin),
        environment=environment,
    )


def _synthetic_clips(task: config.Task, data: TaskData) -> SyntheticClips | None:
    if (augment := task.augment) is None:
        return None
    clips = len(data.split.train)
    number = augment.of(clips)
    facts: SyntheticClips = {
        "generator": augment.generator,
        "share": number / clips,
        "clips": number,
    }
    if data.synthetic is not None:
        facts["file"] = data.synthetic.key
    return facts


def loaded(origin: Origin) -> LoadedBackbone:
    return {
        "layout": origin.layout,
        "taken": origin.taken,
        "dropped": origin.dropped,
        "new": list(origin.new),
        "notes": list(origin.notes),
        "grids": [list(grid) for grid in origin.grids],
    }


def peak_memory_mb(device: torch.device) -> float:
    """The GPU's allocations where there is one, else the process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**10

"""Measure a trained run again on a part of its split, from the dataset's files to the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from petl.data.load import load
from petl.places import Places
from petl.runs.confusion import per_class
from petl.train.metrics import objective
from petl.use.load import LoadedRun

RECORDED = {"test": "test_{weights}", "validation": "val_{weights}", "train": ""}
"""Where result.json has the metrics of each part."""


@dataclass(frozen=True)
class Evaluation:
    """`confusion` has a row for each true class and a column for each predicted class."""

    run: LoadedRun
    part: str
    clips: int
    metrics: dict[str, float]
    confusion: list[list[int]] | None
    recorded: dict[str, float] | None
    """The metrics that training recorded for the same weights and clips."""

    def per_class(self) -> list[dict[str, float]]:
        return per_class(self.confusion) if self.confusion else []

    def to_json(self, with_classes: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "run_id": self.run.task.run_id,
            "split": self.part,
            "weights": self.run.weights,
            "epoch": self.run.epoch,
            "clips": self.clips,
            "metrics": self.metrics,
            "recorded": self.recorded,
        }
        if with_classes and self.confusion:
            scores = zip(self.run.names, self.per_class(), strict=True)
            facts["classes"] = [{"class": name} | row for name, row in scores]
            facts["confusion"] = self.confusion
        return facts


def evaluate(run: LoadedRun, places: Places, part: str) -> Evaluation:
    """In batches of the same size as in training: on the same machine the bits are the same."""
    data = load(run.task, places)
    indices = getattr(data.split, part)
    size = run.task.train.batch_size
    batches = (indices[start : start + size] for start in range(0, len(indices), size))
    outputs = torch.cat([run.outputs(data.inputs[batch]) for batch in batches])
    targets = torch.from_numpy(data.targets[indices]).to(run.device)
    measure = objective(run.task)
    name = RECORDED[part].format(weights=run.weights)
    return Evaluation(
        run,
        part,
        len(indices),
        measure.measure(outputs, targets),
        measure.confusion(outputs, targets),
        run.result["metrics"].get(name) if run.result else None,
    )

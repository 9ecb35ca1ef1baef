"""A trained run measured anew on one of its splits, from the dataset's files to the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from petl.data.load import Progress, load
from petl.places import Places
from petl.runs.confusion import per_class
from petl.train.metrics import objective
from petl.use.load import LoadedRun

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Evaluation:
    """`confusion` has a row for each class, a column for what it was taken for."""

    split: Part
    clips: int
    metrics: dict[str, float]
    confusion: list[list[int]] | None
    recorded: dict[str, float] | None
    """What training wrote down of the same weights on the same clips."""

    def per_class(self) -> list[dict[str, float]]:
        return per_class(self.confusion) if self.confusion else []


def evaluate(
    run: LoadedRun, places: Places, part: Part, progress: Progress | None = None
) -> Evaluation:
    """In the batches of training, so that on the same machine the numbers are the same bits."""
    data = load(run.task, places, progress)
    chosen = getattr(data.split, part)
    size = run.task.train.batch_size
    batches = (chosen[start : start + size] for start in range(0, len(chosen), size))
    outputs = torch.cat([run.outputs(data.inputs[batch]) for batch in batches])
    targets = torch.from_numpy(data.targets[chosen]).to(run.device)
    measure = objective(run.task)
    return Evaluation(
        part,
        len(chosen),
        measure.measure(outputs, targets),
        measure.confusion(outputs, targets),
        run.result["metrics"].get(_recorded_as(part, run.weights)) if run.result else None,
    )


def _recorded_as(part: Part, weights: str) -> str:
    return {"test": f"test_{weights}", "validation": f"val_{weights}"}.get(part, "")


def as_json(found: Evaluation, run: LoadedRun, classes: bool) -> dict[str, Any]:
    said: dict[str, Any] = {
        "run_id": run.task.run_id,
        "split": found.split,
        "weights": run.weights,
        "epoch": run.epoch,
        "clips": found.clips,
        "metrics": found.metrics,
        "recorded": found.recorded,
    }
    if classes and found.confusion:
        rows = zip(run.names, found.per_class(), strict=True)
        said["classes"] = [{"class": name} | scores for name, scores in rows]
        said["confusion"] = found.confusion
    return said

"""The loss and the metrics of each kind of task (petl/config/kinds.py).

A loss is the mean over a batch, in float32 or more, whatever precision the model has. Metrics are
computed over a whole split at once, in float64: the mean of the batches' CCCs is not the CCC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from petl import config
from petl.config.kinds import NO_LABELS, SEVERAL_LABELS
from petl.data.ranking import average_precision, roc_auc
from petl.runs.confusion import averages
from petl.runs.result import PerClass
from petl.train.regression import Regression, at_least_float32


@dataclass(frozen=True)
class Classification:
    """Cross-entropy with labels (clips,) or with probabilities (clips, classes)."""

    classes: int
    label_smoothing: float = 0.0

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = at_least_float32(outputs)
        if targets.is_floating_point():
            targets = targets.to(outputs.dtype)
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def measure(
        self, outputs: Tensor, targets: Tensor, songs: np.ndarray | None = None
    ) -> dict[str, float]:
        """The reported loss has no label smoothing, so that runs can be compared."""
        return {
            "accuracy": (outputs.argmax(dim=1) == targets).double().mean().item(),
            **averages(self.confusion(outputs, targets)),
            "loss": F.cross_entropy(outputs.double(), targets).item(),
        }

    def confusion(self, outputs: Tensor, targets: Tensor) -> list[list[int]]:
        """A row for each true class, a column for each predicted class.

        On the CPU: a GPU counts with atomics, which deterministic mode refuses.
        """
        pairs = targets.cpu() * self.classes + outputs.argmax(dim=1).cpu()
        counts = torch.bincount(pairs, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes).tolist()

    def per_class(self, outputs: Tensor, targets: Tensor) -> None:
        """The confusion matrix says it."""
        return None


@dataclass(frozen=True)
class SeveralLabels:
    """Binary cross-entropy with 0 or 1, or shares between them, (clips, classes)."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = at_least_float32(outputs)
        return F.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype))

    def measure(
        self, outputs: Tensor, targets: Tensor, songs: np.ndarray | None = None
    ) -> dict[str, float]:
        """Means over the classes that have clips here; the others are counted."""
        found = self.per_class(outputs, targets)
        return {
            "map": _mean(found["average_precision"]),
            "auc": _mean(found["auc"]),
            "classes_without_clips": float(found["clips"].count(0)),
            "loss": self.loss(outputs.double(), targets).item(),
        }

    def per_class(self, outputs: Tensor, targets: Tensor) -> PerClass:
        scores, truth = outputs.double().cpu().numpy().T, targets.cpu().numpy().T
        pairs = list(zip(truth, scores, strict=True))
        return {
            "average_precision": [_known(average_precision(*pair)) for pair in pairs],
            "auc": [_known(roc_auc(*pair)) for pair in pairs],
            "clips": truth.sum(axis=1, dtype=int).tolist(),
        }

    def confusion(self, outputs: Tensor, targets: Tensor) -> None:
        return None


@dataclass(frozen=True)
class Unlabelled:
    """The model has compared each clip with itself and puts out its error."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.mean()

    def measure(
        self, outputs: Tensor, targets: Tensor, songs: np.ndarray | None = None
    ) -> dict[str, float]:
        return {"held_out_loss": outputs.double().mean().item()}

    def confusion(self, outputs: Tensor, targets: Tensor) -> None:
        return None

    def per_class(self, outputs: Tensor, targets: Tensor) -> None:
        return None


Objective = Classification | SeveralLabels | Regression | Unlabelled


def objective(task: config.Task) -> Objective:
    dataset, train = task.dataset, task.train
    if dataset.kind is SEVERAL_LABELS:
        return SeveralLabels()
    if dataset.kind is NO_LABELS:
        return Unlabelled()
    if dataset.classes is not None:
        return Classification(dataset.classes, train.label_smoothing)
    weights = train.target_weights
    of_targets = tuple(weights[name] for name in dataset.targets) if weights else None
    return Regression(dataset.targets, train.loss, of_targets, dataset.scale)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan

"""The loss and the metrics of each kind of task (petl/config/kinds.py).

A loss is the mean over a batch, in float32 or more, whatever precision the model has. Metrics are
computed over a whole split at once, in float64: the mean of the batches' CCCs is not the CCC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from petl import config
from petl.config.kinds import SEVERAL_LABELS
from petl.runs.confusion import averages
from petl.runs.result import PerClass
from petl.train.ranking import average_precision, roc_auc


@dataclass(frozen=True)
class Classification:
    """Cross-entropy with labels (clips,) or with probabilities (clips, classes)."""

    classes: int
    label_smoothing: float = 0.0

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = _at_least_float32(outputs)
        if targets.is_floating_point():
            targets = targets.to(outputs.dtype)
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
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
        outputs = _at_least_float32(outputs)
        return F.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype))

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
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
class Regression:
    """Named numbers, (clips, targets). Each metric is reported for each target, and their mean."""

    targets: tuple[str, ...]
    minimises: Literal["mse", "mae", "ccc"] = "mse"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = _at_least_float32(outputs)
        targets = targets.to(outputs.dtype)
        if self.minimises == "ccc":
            return 1 - concordance(outputs, targets).mean()
        difference = outputs - targets
        return difference.abs().mean() if self.minimises == "mae" else difference.square().mean()

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """CCC and Pearson of a constant are set to 0: it says nothing about the other side.

        Pearson's r is 0 / 0 there, or whatever rounding leaves of a zero variance. A NaN would hide
        the other targets in the mean, and no epoch could be compared with it.
        """
        outputs, targets = outputs.double(), targets.double()
        constant = _constant(outputs) | _constant(targets)
        difference = outputs - targets
        measured = {
            "mae": difference.abs().mean(dim=0),
            "rmse": difference.square().mean(dim=0).sqrt(),
            "ccc": concordance(outputs, targets).masked_fill(constant, 0.0),
            "pearson": pearson(outputs, targets).masked_fill(constant, 0.0),
        }
        scores = {}
        for metric, values in measured.items():
            scores[metric] = values.mean().item()
            each = zip(self.targets, values.tolist(), strict=True)
            scores |= {f"{metric}_{target}": value for target, value in each}
        return scores | {"loss": self.loss(outputs, targets).item()}

    def confusion(self, outputs: Tensor, targets: Tensor) -> None:
        return None

    def per_class(self, outputs: Tensor, targets: Tensor) -> None:
        return None


Objective = Classification | SeveralLabels | Regression


def objective(task: config.Task) -> Objective:
    dataset, train = task.dataset, task.train
    if dataset.kind is SEVERAL_LABELS:
        return SeveralLabels()
    if dataset.classes is not None:
        return Classification(dataset.classes, train.label_smoothing)
    return Regression(dataset.targets, train.loss)


def concordance(x: Tensor, y: Tensor) -> Tensor:
    """Lin's concordance of each column, with population moments as he defined it:

    2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2). It has a gradient for constant
    predictions too, so a head that starts at zero can learn.
    """
    (x_mean, x_centred), (y_mean, y_centred) = _centred(x), _centred(y)
    denominator = x_centred.square().mean(dim=0) + y_centred.square().mean(dim=0)
    denominator = denominator + (x_mean - y_mean).square()
    tiny = torch.finfo(x.dtype).tiny  # against 0 / 0, for two equal constants
    return 2 * (x_centred * y_centred).mean(dim=0) / denominator.clamp_min(tiny)


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """The correlation of each column; NaN for a constant."""
    (_, x_centred), (_, y_centred) = _centred(x), _centred(y)
    squares = x_centred.square().sum(dim=0) * y_centred.square().sum(dim=0)
    return (x_centred * y_centred).sum(dim=0) / squares.sqrt()


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=0)
    return mean, x - mean


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _constant(x: Tensor) -> Tensor:
    return (x == x[0]).all(dim=0)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))

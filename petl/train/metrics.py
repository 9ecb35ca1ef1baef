"""What is minimised, what is reported and what chooses the best epoch, for each kind of target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from petl import config
from petl.runs.confusion import averages


class Objective(ABC):
    primary: ClassVar[str]
    """The metric that chooses the best epoch on the validation set; higher is better."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over a batch, in float32 at least, whatever the model computed in."""

    @abstractmethod
    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Over a whole split at once, in float64: a mean of batches' CCCs is not the CCC."""

    def confusion(self, outputs: Tensor, targets: Tensor) -> list[list[int]] | None:
        """A row for each class, a column for what it was taken for; a regression has none."""
        return None


def objective(task: config.Task) -> Objective:
    dataset, train = task.dataset, task.train
    if dataset.classes is not None:
        return Classification(dataset.classes, train.label_smoothing)
    return Regression(dataset.targets, train.loss)


@dataclass(frozen=True)
class Classification(Objective):
    """Cross-entropy, of labels (clips,) or of shares of each class (clips, classes)."""

    classes: int
    label_smoothing: float = 0.0

    primary = "accuracy"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = _at_least_float32(outputs)
        if targets.is_floating_point():
            targets = targets.to(outputs.dtype)
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """The loss is the plain cross-entropy, comparable between smoothed runs and others."""
        return {
            "accuracy": (outputs.argmax(dim=1) == targets).double().mean().item(),
            **averages(self.confusion(outputs, targets)),
            "loss": F.cross_entropy(outputs.double(), targets).item(),
        }

    def confusion(self, outputs: Tensor, targets: Tensor) -> list[list[int]]:
        """Counted on the CPU: a GPU counts with atomics, which deterministic mode refuses."""
        pairs = targets.cpu() * self.classes + outputs.argmax(dim=1).cpu()
        counts = torch.bincount(pairs, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes).tolist()


@dataclass(frozen=True)
class Regression(Objective):
    """Of named numbers, (clips, targets); what is said of all of them is the mean over targets."""

    targets: tuple[str, ...]
    minimises: Literal["mse", "mae", "ccc"] = "mse"

    primary = "ccc"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = _at_least_float32(outputs)
        targets = targets.to(outputs.dtype)
        if self.minimises == "ccc":
            return 1 - concordance(outputs, targets).mean()
        difference = outputs - targets
        return difference.abs().mean() if self.minimises == "mae" else difference.square().mean()

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Of a constant CCC and Pearson say 0, as of anything that tells nothing about the other.

        Pearson's is 0 / 0 then. A NaN would spoil the mean over targets, compare with nothing and
        stop no run that is merely bad, and what rounding leaves of a zero variance is no better.
        """
        outputs, targets = outputs.double(), targets.double()
        untold = _constant(outputs) | _constant(targets)
        difference = outputs - targets
        measured = {
            "mae": difference.abs().mean(dim=0),
            "rmse": difference.square().mean(dim=0).sqrt(),
            "ccc": concordance(outputs, targets).masked_fill(untold, 0.0),
            "pearson": pearson(outputs, targets).masked_fill(untold, 0.0),
        }
        found = {}
        for metric, values in measured.items():
            found[metric] = values.mean().item()
            each = zip(self.targets, values.tolist(), strict=True)
            found |= {f"{metric}_{target}": value for target, value in each}
        return found | {"loss": self.loss(outputs, targets).item()}


def concordance(x: Tensor, y: Tensor) -> Tensor:
    """Lin's coefficient of each column, with population moments as he defined it.

    Constant predictions have a gradient too: a head that starts at zero is not stuck there.
    """
    (x_mean, x_spread), (y_mean, y_spread) = _centred(x), _centred(y)
    apart = x_spread.square().mean(dim=0) + y_spread.square().mean(dim=0)
    apart = apart + (x_mean - y_mean).square()
    tiny = torch.finfo(x.dtype).tiny  # two equal constants, or a batch of one clip hit exactly
    return 2 * (x_spread * y_spread).mean(dim=0) / apart.clamp_min(tiny)


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """The correlation of each column; NaN for a constant."""
    (_, x_spread), (_, y_spread) = _centred(x), _centred(y)
    squares = x_spread.square().sum(dim=0) * y_spread.square().sum(dim=0)
    return (x_spread * y_spread).sum(dim=0) / squares.sqrt()


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=0)
    return mean, x - mean


def _constant(x: Tensor) -> Tensor:
    return (x == x[0]).all(dim=0)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))

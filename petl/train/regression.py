"""The loss and the metrics of a regression: named numbers, (clips, targets).

All moments are population moments, divided by n: Lin's CCC with a variance divided by n - 1 and a
covariance divided by n is another number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.config.kinds import NUMBERS
from petl.config.loss import parts
from petl.data.load import TaskData
from petl.runs import predictions
from petl.runs.result import Scores

UNSCALED = ("mae", "rmse")
"""The metrics that have a unit; the others are the same whatever the targets' scale."""


@dataclass(frozen=True)
class Regression:
    """Each metric is reported for each target, and their mean."""

    targets: tuple[str, ...]
    minimises: str = "mse"
    weights: tuple[float, ...] | None = None
    """Of the targets, in the loss."""
    scale: config.Scale | None = None

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = at_least_float32(outputs)
        targets = targets.to(outputs.dtype)
        losses = [share * self._loss(of, outputs, targets) for of, share in self._parts]
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    @property
    def _parts(self) -> list[tuple[str, float]]:
        return list(parts(self.minimises).items())

    def _loss(self, name: str, outputs: Tensor, targets: Tensor) -> Tensor:
        if name == "ccc":
            return 1 - self._mean(concordance(outputs, targets))
        difference = outputs - targets
        return self._mean(difference.abs() if name == "mae" else difference.square())

    def _mean(self, values: Tensor) -> Tensor:
        """Of (clips, targets) or (targets,)."""
        if self.weights is None:
            return values.mean()
        weights = values.new_tensor(self.weights)
        return (values * weights).mean() / weights.mean()

    def measure(
        self, outputs: Tensor, targets: Tensor, songs: np.ndarray | None = None
    ) -> dict[str, float]:
        """`songs`: the number of each clip's song, where songs have several windows. Then a song is
        measured by the mean of its windows, and the metrics of the windows are `window_*`."""
        outputs, targets = outputs.double(), targets.double()
        if songs is None:
            return self._scores(outputs, targets)
        windows = self._scores(outputs, targets)
        whole = self._scores(*(mean_by(songs, values) for values in (outputs, targets)))
        return whole | {f"window_{name}": value for name, value in windows.items()}

    def _scores(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """CCC and Pearson of a constant are set to 0: it says nothing about the other side.

        Pearson's r is 0 / 0 there, or whatever rounding leaves of a zero variance, and so is R2 of
        constant targets. A NaN would hide the other targets in the mean, and no epoch could be
        compared with it.
        """
        never = _constant(targets)
        constant = _constant(outputs) | never
        difference = outputs - targets
        squares = difference.square().mean(dim=0)
        measured = {
            "mae": difference.abs().mean(dim=0),
            "rmse": squares.sqrt(),
            "ccc": concordance(outputs, targets).masked_fill(constant, 0.0),
            "pearson": pearson(outputs, targets).masked_fill(constant, 0.0),
            "r2": (1 - squares / targets.var(dim=0, unbiased=False)).masked_fill(never, 0.0),
        }
        if self.scale is not None:
            measured |= {f"unscaled_{of}": self.scale.spread * measured[of] for of in UNSCALED}
        scores: Scores = {}
        for metric, values in measured.items():
            scores[metric] = values.mean().item()
            each = zip(self.targets, values.tolist(), strict=True)
            scores |= {f"{metric}_{target}": value for target, value in each}
        return scores | {"loss": self.loss(outputs, targets).item()}

    def confusion(self, outputs: Tensor, targets: Tensor) -> None:
        return None

    def per_class(self, outputs: Tensor, targets: Tensor) -> None:
        return None


def answers(task: config.Task, data: TaskData, outputs: dict[str, np.ndarray]) -> bytes | None:
    """predictions.json of a regression; None for other kinds of task."""
    if task.kind is not NUMBERS:
        return None
    test = data.split.test
    clips, songs = [data.names[clip] for clip in test], data.songs_of(test)
    after = {split: values.tolist() for split, values in outputs.items()}
    about = clips, data.targets[test].tolist(), after, None if songs is None else songs.tolist()
    return predictions.content(task.run_id, task.dataset.targets, *about)


def mean_by(songs: np.ndarray, values: Tensor) -> Tensor:
    """The mean row of each song, on the CPU: a GPU adds with atomics, in any order."""
    _, rows, counts = np.unique(songs, return_inverse=True, return_counts=True)
    sums = values.new_zeros(len(counts), values.shape[1], device="cpu")
    sums.index_add_(0, torch.from_numpy(rows), values.cpu())
    return sums / torch.from_numpy(counts)[:, None]


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


def at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=0)
    return mean, x - mean


def _constant(x: Tensor) -> Tensor:
    return (x == x[0]).all(dim=0)

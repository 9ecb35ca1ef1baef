"""What predicts a regression's targets without a network, on the same clips: the floors of a table.

constant  the mean of the training clips
ridge     a linear map of the mean and the deviation over time of each mel bin; the penalty is
          the one with the lowest error on the validation clips
"""

from __future__ import annotations

import numpy as np
import torch

from petl.data.load import TaskData
from petl.data.ridge import PENALTIES, Ridge, mel_statistics
from petl.runs.result import Scores
from petl.train.regression import Regression


def floors(data: TaskData, objective: Regression) -> dict[str, Scores]:
    """By the names in petl/config/kinds.py: the metrics on the test clips."""
    train, test = data.split.train, data.split.test
    targets = data.targets.astype(np.float64)
    constant = targets[train].mean(axis=0)
    return {
        "constant": _measured(data, objective, test, np.tile(constant, (len(test), 1))),
        "ridge": _ridge(data, objective, mel_statistics(data.inputs), targets),
    }


def _ridge(data: TaskData, objective: Regression, x: np.ndarray, targets: np.ndarray) -> Scores:
    ridge = Ridge(x[data.split.train], targets[data.split.train])

    def scores(penalty: float, clips: np.ndarray) -> Scores:
        return _measured(data, objective, clips, ridge.predict(x[clips], penalty))

    best = min(PENALTIES, key=lambda penalty: scores(penalty, data.split.validation)["rmse"])
    return scores(best, data.split.test)


def _measured(
    data: TaskData, objective: Regression, clips: np.ndarray, predicted: np.ndarray
) -> Scores:
    truth = torch.from_numpy(data.targets[clips])
    return objective.measure(torch.from_numpy(predicted), truth, data.songs_of(clips))

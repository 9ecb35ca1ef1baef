"""What predicts a regression's targets without a network, on the same clips: the floors of a table.

constant  the mean of the training clips
ridge     a linear map of the mean and the deviation over time of each mel bin; the penalty is
          the one with the lowest error on the validation clips
"""

from __future__ import annotations

import numpy as np
import torch

from petl.data.features import fbank
from petl.data.load import TaskData
from petl.runs.result import Scores
from petl.train.regression import Regression

PENALTIES = tuple(10.0**power for power in range(-4, 5))
"""For each training clip, on inputs of variance 1."""
PIECE = 256
"""Clips of which the inputs are in memory at a time."""


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
    train = data.split.train
    deviation = x[train].std(axis=0)
    x = (x - x[train].mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    mean = targets[train].mean(axis=0)
    values, vectors = np.linalg.eigh(x[train].T @ x[train])
    projected = vectors.T @ (x[train].T @ (targets[train] - mean))

    def scores(penalty: float, clips: np.ndarray) -> Scores:
        shrunk = projected / (np.maximum(values, 0) + penalty * len(train))[:, None]
        return _measured(data, objective, clips, x[clips] @ (vectors @ shrunk) + mean)

    best = min(PENALTIES, key=lambda penalty: scores(penalty, data.split.validation)["rmse"])
    return scores(best, data.split.test)


def mel_statistics(inputs: np.ndarray) -> np.ndarray:
    """(clips, 2 x bins), of spectrograms (clips, frames, bins) or waveforms (clips, samples)."""
    rows = []
    for start in range(0, len(inputs), PIECE):
        piece = np.asarray(inputs[start : start + PIECE])
        if piece.ndim == 2:
            piece = np.stack([fbank(waveform) for waveform in piece])
        moments = (piece.mean(axis=1, dtype=np.float64), piece.std(axis=1, dtype=np.float64))
        rows.append(np.concatenate(moments, axis=1))
    return np.concatenate(rows)


def _measured(
    data: TaskData, objective: Regression, clips: np.ndarray, predicted: np.ndarray
) -> Scores:
    truth = torch.from_numpy(data.targets[clips])
    return objective.measure(torch.from_numpy(predicted), truth, data.songs_of(clips))

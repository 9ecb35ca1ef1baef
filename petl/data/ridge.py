"""Ridge regression, and the numbers that describe a clip without a network."""

from __future__ import annotations

import numpy as np

from petl.data.features import fbank

PENALTIES = tuple(10.0**power for power in range(-4, 5))
"""For each training clip, on inputs of variance 1."""
PIECE = 256
"""Clips of which the inputs are in memory at a time."""


class Ridge:
    """A linear map of standardised inputs (clips, inputs) to targets (clips, targets)."""

    def __init__(self, x: np.ndarray, targets: np.ndarray):
        deviation = x.std(axis=0)
        self.centre, self.deviation = x.mean(axis=0), np.where(deviation > 0, deviation, 1)
        self.x, self.targets, self.mean = self._scaled(x), targets, targets.mean(axis=0)
        self.values, self.vectors = np.linalg.eigh(self.x.T @ self.x)
        self.projected = self.vectors.T @ (self.x.T @ (targets - self.mean))

    def predict(self, x: np.ndarray, penalty: float) -> np.ndarray:
        return self._scaled(x) @ (self.vectors @ self._shrunk(penalty)) + self.mean

    def best(self) -> float:
        """The penalty with the lowest squared error on training clips, each left out in turn."""
        rotated = self.x @ self.vectors

        def error(penalty: float) -> float:
            missed = self.targets - self.mean - rotated @ self._shrunk(penalty)
            own = 1 / len(rotated) + rotated**2 @ (1 / self._grown(penalty))
            return float(np.square(missed / np.maximum(1 - own, 1e-12)[:, None]).mean())

        return min(PENALTIES, key=error)

    def _shrunk(self, penalty: float) -> np.ndarray:
        shrunk: np.ndarray = self.projected / self._grown(penalty)[:, None]
        return shrunk

    def _grown(self, penalty: float) -> np.ndarray:
        grown: np.ndarray = np.maximum(self.values, 0) + penalty * len(self.x)
        return grown

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = (x - self.centre) / self.deviation
        return scaled


def mel_statistics(inputs: np.ndarray) -> np.ndarray:
    """Mean and deviation over time of each mel bin, (clips, 2 x bins), in float64.

    Of spectrograms (clips, frames, bins) or waveforms (clips, samples).
    """
    rows = []
    for start in range(0, len(inputs), PIECE):
        piece = np.asarray(inputs[start : start + PIECE])
        if piece.ndim == 2:
            piece = np.stack([fbank(waveform) for waveform in piece])
        moments = (piece.mean(axis=1, dtype=np.float64), piece.std(axis=1, dtype=np.float64))
        rows.append(np.concatenate(moments, axis=1))
    return np.concatenate(rows)

"""Several answers as one: of the windows of a file, the runs of an ensemble, the files of a group.

Arrays are (answers, outputs); an output is a class, or a target of a regression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from petl.config.kinds import SEVERAL_LABELS, Kind

Pool = Literal["mean", "max", "vote"]
"""Of windows: the mean of the logits, the largest logit of each class, or a vote."""
Combine = Literal["mean", "vote"]
"""Of runs and of files: the mean of the probabilities, or a vote."""
TIE = 1e-6
"""The weight of the mean probability in a vote: it decides between equal numbers of votes."""


def pooled(
    logits: np.ndarray, answers: Callable[[np.ndarray], np.ndarray], how: Pool, kind: Kind
) -> np.ndarray:
    """The values (outputs,) of a file from the logits of its windows."""
    if how == "vote" and len(logits) > 1:
        return votes(answers(logits), kind)
    together = logits.mean(axis=0) if how == "mean" else logits.max(axis=0)
    return answers(together[None])[0]


def combined(values: np.ndarray, how: Combine, kind: Kind) -> np.ndarray:
    """The values of several as one; a single one keeps its own."""
    return votes(values, kind) if how == "vote" and len(values) > 1 else values.mean(axis=0)


def votes(values: np.ndarray, kind: Kind) -> np.ndarray:
    """For each class, the share of answers that name it: as the most probable class, or, if a clip
    can have several, with a probability of at least 1/2.

    Equal shares are told apart by the mean probability.
    """
    if kind is SEVERAL_LABELS:
        shares = (values >= 0.5).mean(axis=0)
    else:
        shares = np.bincount(values.argmax(axis=1), minlength=values.shape[1]) / len(values)
    return (1 - TIE) * shares + TIE * values.mean(axis=0)

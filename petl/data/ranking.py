"""Average precision and the area under the ROC curve of each class, as scikit-learn defines them.

Both judge the order of the scores alone, so logits and probabilities give the same. Equal scores
are one step of the curve.
"""

from __future__ import annotations

import math

import numpy as np


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """The mean of the precisions at each rise of the recall; NaN without positives."""
    hits, seen = _curve(truth, scores)
    if not hits[-1]:
        return math.nan
    rises = np.diff(hits, prepend=0) / hits[-1]
    return float(np.sum(rises * hits / seen))


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """NaN unless there are both positives and negatives."""
    hits, seen = _curve(truth, scores)
    alarms = seen - hits
    if not hits[-1] or not alarms[-1]:
        return math.nan
    wide = np.diff(alarms, prepend=0)
    high = hits - np.diff(hits, prepend=0) / 2
    return float(np.sum(wide * high)) / (int(hits[-1]) * int(alarms[-1]))


def _curve(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the highest score down, at each different one: positives so far, and clips so far."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    return np.cumsum(truth[order], dtype=np.int64)[ends], ends + 1

"""Made-up results of classes: a confusion matrix with the chosen accuracy, and what follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from petl.config import Task
from petl.config.kinds import SEVERAL_LABELS
from petl.config.published import PUBLISHED
from petl.runs.confusion import averages
from petl.runs.result import PerClass, Scores

Confusion = list[list[int]]


def confusion(clips: Sequence[int], accuracy: float, random: Random) -> Confusion:
    """A row for each class, with as many clips off the diagonal as the accuracy demands."""
    classes = len(clips)
    matrix = [[0] * classes for _ in clips]
    labels = [label for label, number in enumerate(clips) for _ in range(number)]
    wrong = set(random.sample(range(len(labels)), round((1 - accuracy) * len(labels))))
    for i, label in enumerate(labels):
        taken_for = (label + random.randrange(1, classes)) % classes if i in wrong else label
        matrix[label][taken_for] += 1
    return matrix


def clips(task: Task) -> list[int]:
    """Test clips per class: the published number, spread evenly over the classes."""
    classes, official = task.dataset.classes or 0, PUBLISHED.get(task.dataset.corpus)
    total = 20 * classes
    if official and official.folds:
        total = official.folds[task.fold % len(official.folds)]
    elif official and "test" in official.parts:
        total = official.parts["test"]
    return [total // classes + (label < total % classes) for label in range(classes)]


def scores(matrix: Confusion) -> Scores:
    right = sum(row[i] for i, row in enumerate(matrix))
    accuracy = right / sum(map(sum, matrix))
    return {"accuracy": accuracy, **averages(matrix), "loss": loss(accuracy)}


def loss(score: float) -> float:
    """The cross-entropy of a calibrated classifier with this accuracy."""
    return -math.log(min(0.999, max(1e-3, score)))


def per_class(task: Task, score: float, random: Random) -> PerClass | None:
    if task.kind is not SEVERAL_LABELS:
        return None
    found = [min(1.0, max(0.0, random.gauss(score, 0.1))) for _ in range(task.dataset.outputs)]
    return {"average_precision": found, "auc": [0.9] * len(found), "clips": [20] * len(found)}

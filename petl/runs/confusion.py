"""Metrics of a confusion matrix, per class and averaged, as scikit-learn defines them.

A row of the matrix holds the clips of one class, a column those predicted as one class. A division
by zero gives 0: a class that is never predicted has a precision of 0.
"""

from __future__ import annotations

from collections.abc import Sequence

Confusion = Sequence[Sequence[int]]


def per_class(confusion: Confusion) -> list[dict[str, float]]:
    """Precision, recall, f1 and support (the number of clips) of each class."""
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    return [
        {
            "precision": _ratio(row[label], predicted[label]),
            "recall": _ratio(row[label], sum(row)),
            "f1": _ratio(2 * row[label], sum(row) + predicted[label]),
            "support": sum(row),
        }
        for label, row in enumerate(confusion)
    ]


def averages(confusion: Confusion) -> dict[str, float]:
    """Balanced accuracy is the mean recall of the classes that occur; the rest weighs by support.

    Weighted recall equals the accuracy; it is listed beside the other two for completeness.
    """
    classes = per_class(confusion)
    present = [scores["recall"] for scores in classes if scores["support"]]
    clips = sum(scores["support"] for scores in classes)
    weighted = {
        name: _ratio(sum(scores[name] * scores["support"] for scores in classes), clips)
        for name in ("precision", "recall", "f1")
    }
    return {"balanced_accuracy": _ratio(sum(present), len(present)), **weighted}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

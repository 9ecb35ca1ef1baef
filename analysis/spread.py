"""How much the folds of a cell differ: the number after the plus-minus."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import pstdev, stdev


@dataclass(frozen=True)
class Spread:
    """`of` is None for a single fold: it has no spread, which is not a spread of 0."""

    name: str
    in_words: str
    measured: Callable[[Sequence[float]], float]

    def of(self, folds: Sequence[float]) -> float | None:
        if len(folds) < 2:
            return None
        return math.nan if any(map(math.isnan, folds)) else self.measured(folds)


def _half_width(folds: Sequence[float]) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, len(folds) - 1)) * stdev(folds) / math.sqrt(len(folds))


SPREADS = {
    spread.name: spread
    for spread in (
        Spread("population-std", "population standard deviation", pstdev),
        Spread("sample-std", "sample standard deviation", stdev),
        Spread("ci95", "half the 95% confidence interval of the mean (Student's t)", _half_width),
    )
}

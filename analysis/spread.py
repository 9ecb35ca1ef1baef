"""How much the folds of a cell differ: the number after the plus-minus, and 95 % intervals.

Folds share most of their training clips, so their values are not independent, and Student's
interval is too narrow. Nadeau and Bengio (Machine Learning 52, 2003) widen its variance by the
ratio of test to training clips: 1/k + n_test/n_train in the place of 1/k, with k - 1 degrees of
freedom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev, stdev, variance

import pandas as pd

from analysis.measure import Measure


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
    return _t(len(folds) - 1) * stdev(folds) / math.sqrt(len(folds))


def _t(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


SPREADS = {
    spread.name: spread
    for spread in (
        Spread("population-std", "population standard deviation", pstdev),
        Spread("sample-std", "sample standard deviation", stdev),
        Spread("ci95", "half the 95% confidence interval of the mean (Student's t)", _half_width),
    )
}


@dataclass(frozen=True)
class Interval:
    """A mean, or a difference of means, with its 95 % interval; without ends for one fold."""

    mean: float
    ends: tuple[float, float] | None

    def sign(self, measure: Measure) -> int:
        """1 or -1 if the whole interval is above or below 0 as printed, else 0; so too if all folds
        agree to the last digit, which says nothing about their spread."""
        low, high = (round(end, measure.digits) for end in self.ends or (0.0, 0.0))
        return (low > 0) - (high < 0) if low < high else 0

    def text(self, measure: Measure) -> str:
        """Of a difference: `+0.4 [-1.2, +2.0]`."""
        if self.ends is None:
            return measure.signed(self.mean)
        return f"{measure.signed(self.mean)} [{', '.join(map(measure.signed, self.ends))}]"


def interval(folds: Sequence[float], ratio: float | None) -> Interval:
    """Of the mean of one value for each fold; `ratio` is test to training clips, by default that of
    k-fold validation."""
    mean, k = fmean(folds), len(folds)
    if k < 2:
        return Interval(mean, None)
    widened = (1 / k + (1 / (k - 1) if ratio is None else ratio)) * variance(folds)
    return _around(mean, math.sqrt(widened), k - 1)


def welch(apart: Sequence[float], mixed: Sequence[float]) -> Interval:
    """Of the difference of the means of two splits whose folds are not the same clips."""
    mean = fmean(mixed) - fmean(apart)
    if min(len(apart), len(mixed)) < 2:
        return Interval(mean, None)
    parts = [(variance(values) / len(values), len(values) - 1) for values in (apart, mixed)]
    squared = sum(part for part, _ in parts)
    below = sum(part**2 / freedom for part, freedom in parts)
    return _around(mean, math.sqrt(squared), squared**2 / below if below else 1.0)


def _around(mean: float, error: float, freedom: float) -> Interval:
    half = _t(freedom) * error
    return Interval(mean, (mean - half, mean + half))


def ratio_of(runs: pd.DataFrame) -> float | None:
    """Test to training clips, as the runs recorded them."""
    if not {"clips.test", "clips.train"} <= set(runs.columns):
        return None
    train, test = runs["clips.train"].mean(), runs["clips.test"].mean()
    return float(test / train) if train > 0 and test > 0 else None

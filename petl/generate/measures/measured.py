"""Synthetic clips measured against real ones, beside real clips measured in the same way.

Synthetic clips are compared with the fold's test clips; the floor has as many of its training clips
in their place. An interval is the value +- 1.96 times the standard deviation over halves of the
clips, drawn without replacement from each set. Of a mean, the variance over halves of n clips is
that over new sets of n clips, so nothing is scaled. (In a bootstrap, a clip that occurs twice would
be its own nearest neighbour.) Around a kernel distance of 0 it is up to 1.8 times too wide. Clips
count as independent, which several windows of one song are not: there it is too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from petl.config import Dataset, Statistics
from petl.config.kinds import NUMBERS, SEVERAL_LABELS, metric
from petl.data.ranking import average_precision
from petl.data.ridge import PIECE, Ridge
from petl.generate.measures import distances
from petl.generate.measures.released_score import Summary, released_score, summaries
from petl.runs.result import Scores

Embed = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Points (clips, dimensions) of spectrograms (clips, frames, bins), of the rows in the second."""
Intervals = dict[str, tuple[float, float]]
Draws = tuple[np.random.Generator, np.random.Generator]
"""For synthetic clips, and for the floor: it is the same beside any synthetic clips."""

RESAMPLES, WIDE, FEW = 100, 1.96, 10
"""With fewer clips than FEW on a side, there is no interval."""
CLIPS, TRAINING, WHOLE = 1000, 5000, 250
"""The most clips that are measured, that are trained on and searched for copies, and that are
compared value by value. Of more, so many are drawn."""


@dataclass(frozen=True)
class Clips:
    """Raw spectrograms (clips, frames, bins), which may be a memory map, and those that count."""

    inputs: np.ndarray
    rows: np.ndarray
    conditions: np.ndarray
    """Of each of the rows, as petl/generate/conditions.py makes them."""

    @classmethod
    def of(cls, inputs: np.ndarray, conditions: np.ndarray) -> Clips:
        return cls(inputs, np.arange(len(inputs)), conditions)

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, which: np.ndarray) -> Clips:
        return replace(self, rows=self.rows[which], conditions=self.conditions[which])

    def drawn(self, number: int, draws: np.random.Generator) -> Clips:
        """In their order; all if there are no more."""
        if number >= len(self):
            return self
        return self.part(np.sort(draws.permutation(len(self))[:number]))

    def finite(self) -> np.ndarray:
        starts = range(0, len(self), PIECE)
        pieces = (self.inputs[self.rows[start : start + PIECE]] for start in starts)
        found = [np.isfinite(piece).all(axis=(1, 2)) for piece in pieces]
        return np.concatenate([np.zeros(0, dtype=bool), *found])


@dataclass
class Measured:
    """By metric; `floor` is of real clips. A metric that is not defined for so few is left out."""

    scores: Scores
    intervals: Intervals
    floor: Scores
    floor_intervals: Intervals

    def add(self, synthetic: tuple[Scores, Intervals], floor: tuple[Scores, Intervals]) -> None:
        self.scores |= synthetic[0]
        self.intervals |= synthetic[1]
        self.floor |= floor[0]
        self.floor_intervals |= floor[1]


def measure(
    synthetic: Clips,
    train: Clips,
    test: Clips,
    encoders: Mapping[str, Embed],
    dataset: Dataset,
    statistics: Statistics | None = None,
    seed: int = 0,
) -> Measured:
    """`encoders` by the ending of their metrics' names: of `encoders` in embeddings.py.

    Clips with a NaN or an infinite number are left out and counted as `broken`.
    """
    both = draws, real_draws = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    synthetic, train = synthetic.drawn(CLIPS, draws), train.drawn(TRAINING, real_draws)
    test, usable = test.drawn(CLIPS, real_draws), synthetic.finite()
    synthetic, broken = synthetic.part(usable), 1 - usable.mean() if len(usable) else 1.0
    measured = Measured({"broken": float(broken)}, {}, {"broken": 0.0}, {})
    equal = min(len(synthetic), len(train))
    if min(equal, len(test)) < 2:
        return measured
    # as many of each, because some measures depend on the number
    synthetic = synthetic.drawn(equal, draws)
    stand_in = np.sort(real_draws.permutation(len(train))[:equal])
    for ending, embed in encoders.items():
        made, known, held_out = (embed(c.inputs, c.rows) for c in (synthetic, train, test))
        seen = np.isfinite(made).all(axis=1)
        made, asked = made[seen], synthetic.conditions[seen]
        ridge = Ridge(known, train.conditions.astype(np.float64))
        for found in (
            (_distances(made, held_out, draws), _distances(known[stand_in], held_out, real_draws)),
            _copied(made, known, held_out, both),
            (
                _heard(ridge, made, asked, dataset, draws),
                _heard(ridge, held_out, test.conditions, dataset, real_draws),
            ),
        ):
            measured.add(*(_named(ending, *part) for part in found))
    measured.add(*_score(synthetic, train.part(stand_in), test, statistics, both))
    return measured


def resampled(
    statistic: Callable[..., Scores], sizes: tuple[int, ...], draws: np.random.Generator
) -> tuple[Scores, Intervals]:
    """Of a function of the clips' numbers in each set, with the values that are finite."""
    if not min(sizes):
        return {}, {}
    values = _finite(statistic(*map(np.arange, sizes)))
    if min(sizes) < FEW:
        return values, {}
    halves = [
        _finite(statistic(*(draws.permutation(size)[: size // 2] for size in sizes)))
        for _ in range(RESAMPLES)
    ]
    intervals = {}
    for name, value in values.items():
        found = [half[name] for half in halves if name in half]
        if len(found) > RESAMPLES // 2:
            wide = WIDE * float(np.std(found, ddof=1))
            low, high = _range(name)
            intervals[name] = (max(value - wide, low), min(value + wide, high))
    return values, intervals


def _range(name: str) -> tuple[float, float]:
    """What a metric can be; an interval ends there."""
    if name == "frequency_correlation" or name.startswith("condition_ccc"):
        return -1.0, 1.0
    below_0 = name.startswith(("kernel_distance", "frechet_infinite", "score_0_100"))
    return -math.inf if below_0 else 0.0, 1.0 if metric(name).percent else math.inf


def _distances(
    made: np.ndarray, real: np.ndarray, draws: np.random.Generator
) -> tuple[Scores, Intervals]:
    pairs = distances.Pairs.of(real, made)
    width = distances.bandwidth(pairs)

    def statistic(of_real: np.ndarray, of_made: np.ndarray) -> Scores:
        part, points = pairs.part(of_real, of_made), (real[of_real], made[of_made])
        density, coverage = distances.density_coverage(part)
        frechet = distances.frechet_distance(*points)
        subsets = 16 if len(of_made) == len(made) else 2
        infinite = distances.frechet_at_infinity(*points, draws, subsets, known=frechet)
        return {
            "kernel_distance": distances.kernel_distance(part, width),
            "frechet_distance": frechet,
            "frechet_infinite": infinite,
            "density": density,
            "coverage": coverage,
        }

    return resampled(statistic, (len(real), len(made)), draws)


def _copied(
    made: np.ndarray, train: np.ndarray, test: np.ndarray, both: Draws
) -> list[tuple[Scores, Intervals]]:
    """The floor is that of the test clips, against themselves."""
    held_out = distances.nearest(test, train)

    def of(near: np.ndarray, draws: np.random.Generator) -> tuple[Scores, Intervals]:
        def statistic(one: np.ndarray, other: np.ndarray) -> Scores:
            parts = near[one], held_out[other]
            return {
                "nearest_ratio": distances.nearest_ratio(*parts),
                "copies": distances.copies(*parts),
            }

        return resampled(statistic, (len(near), len(held_out)), draws)

    near = distances.nearest(made, train) if len(made) else np.zeros(0)
    return [of(near, both[0]), of(held_out, both[1])]


def _heard(
    ridge: Ridge,
    points: np.ndarray,
    truth: np.ndarray,
    dataset: Dataset,
    draws: np.random.Generator,
) -> tuple[Scores, Intervals]:
    """What a linear map fitted to training clips hears."""
    heard = ridge.predict(points, ridge.best())
    return resampled(lambda c: agreement(heard[c], truth[c], dataset), (len(points),), draws)


def agreement(heard: np.ndarray, truth: np.ndarray, dataset: Dataset) -> Scores:
    """CCC for each number and their mean, accuracy for classes, mAP for several labels."""
    if dataset.kind is NUMBERS:
        values = distances.concordance(heard, truth.astype(np.float64))
        each = zip(dataset.targets, values.tolist(), strict=True)
        mean = {"condition_ccc": float(values.mean())}
        return mean | {f"condition_ccc_{target}": value for target, value in each}
    if dataset.kind is SEVERAL_LABELS:
        found = [average_precision(*pair) for pair in zip(truth.T, heard.T, strict=True)]
        known = [value for value in found if not math.isnan(value)]
        return {"condition_map": sum(known) / len(known) if known else math.nan}
    right = heard.argmax(axis=1) == truth.argmax(axis=1)
    return {"condition_accuracy": float(right.mean())}


def _score(
    synthetic: Clips,
    train: Clips,
    test: Clips,
    statistics: Statistics | None,
    both: Draws,
) -> list[tuple[Scores, Intervals]]:
    """On spectrograms of mean 0 and deviation 1, as the released code's."""
    scale = statistics or Statistics(mean=0.0, std=1.0)
    sets = []
    for clips, draws in ((synthetic, both[0]), (train, both[1]), (test, both[1])):
        drawn = clips.drawn(WHOLE, draws)
        sets.append((drawn.inputs[drawn.rows] - scale.mean) / scale.std)
    made, stand_in, real = summaries(*sets)

    def of(other: Summary, draws: np.random.Generator) -> tuple[Scores, Intervals]:
        return resampled(
            lambda one, two: released_score(real.part(one), other.part(two)),
            (len(real.low), len(other.low)),
            draws,
        )

    return [of(made, both[0]), of(stand_in, both[1])]


def _finite(scores: Scores) -> Scores:
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def _named(ending: str, scores: Scores, intervals: Intervals) -> tuple[Scores, Intervals]:
    end = f"_{ending}" if ending else ""
    return (
        {f"{name}{end}": value for name, value in scores.items()},
        {f"{name}{end}": value for name, value in intervals.items()},
    )

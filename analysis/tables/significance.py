"""Does a row differ from a reference row by more than chance?

Folds share most of their training clips, so their differences are not independent, and a plain
paired t-test finds too many. Nadeau and Bengio (Machine Learning 52, 2003) widen its variance by
the share of test to training clips: t = mean(d) / sqrt((1/k + n_test/n_train) var(d)), with k - 1
degrees of freedom. Many rows against one reference are many tests: Holm's correction, per column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance

import pandas as pd

from analysis.cells import Cell, Table
from analysis.spread import ratio_of

LEVEL = 0.05
METHOD = (
    "paired over folds, corrected resampled t-test (Nadeau and Bengio), Holm-adjusted by column"
)


@dataclass(frozen=True)
class Difference:
    """Of a cell from the reference. `p` is NaN if all folds differ by the same amount."""

    mean: float
    folds: int
    p: float
    adjusted: float

    @property
    def significant(self) -> bool:
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Comparison:
    """`tests`: by row and column, without the cells that cannot be compared."""

    reference: str
    label: str
    tests: dict[tuple[int, int], Difference] = field(repr=False)
    untested: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        notes = [f"*: differs from {self.label} with p < {LEVEL:g}, {METHOD}"]
        if self.untested:
            notes.append(f"Not tested, fewer than two folds: {', '.join(self.untested)}")
        if self.assumed:
            what = ", ".join(self.assumed)
            notes.append(
                f"Test to training clips taken as 1 to k - 1, not recorded in the runs: {what}"
            )
        return notes


def compare(table: Table, frame: pd.DataFrame, wanted: str) -> Comparison:
    """Complete cells only: over fewer folds the test would mean something else."""
    reference = table.row(wanted)
    tests: dict[tuple[int, int], Difference] = {}
    untested, assumed = [], []
    for column, dataset in enumerate(table.datasets):
        cells = [row.cells[column] for row in table.rows]
        ratio = ratio_of(frame[frame["dataset"] == dataset.name])
        differences = {
            i: pairs
            for i, cell in enumerate(cells)
            if i != reference and (pairs := _pairs(cell, cells[reference]))
        }
        if not differences:
            untested.append(dataset.label)
            continue
        if ratio is None:
            assumed.append(dataset.label)
        p = {i: corrected_t_test(pairs, ratio) for i, pairs in differences.items()}
        for i, adjusted in zip(p, holm(list(p.values())), strict=True):
            pairs = differences[i]
            tests[i, column] = Difference(fmean(pairs), len(pairs), p[i], adjusted)
    row = table.rows[reference]
    return Comparison(row.method, row.label, tests, tuple(untested), tuple(assumed))


def corrected_t_test(differences: Sequence[float], ratio: float | None = None) -> float:
    """Two-sided p. `ratio` is test to training clips, by default that of k-fold validation."""
    from scipy.stats import t

    k = len(differences)
    spread = variance(differences)
    if math.isclose(spread, 0, abs_tol=1e-18):
        return 1.0 if math.isclose(fmean(differences), 0, abs_tol=1e-9) else math.nan
    widened = (1 / k + (1 / (k - 1) if ratio is None else ratio)) * spread
    return float(2 * t.sf(abs(fmean(differences)) / math.sqrt(widened), k - 1))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values; a NaN stays NaN and does not count as a test."""
    order = sorted((i for i in range(len(p)) if not math.isnan(p[i])), key=lambda i: p[i])
    adjusted, highest = [math.nan] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = highest
    return adjusted


def _pairs(cell: Cell, reference: Cell) -> list[float]:
    if not (cell.complete and reference.complete):
        return []
    theirs = dict(reference.by_fold)
    pairs = [value - theirs[fold] for fold, value in cell.by_fold if fold in theirs]
    return pairs if len(pairs) > 1 and not any(map(math.isnan, pairs)) else []

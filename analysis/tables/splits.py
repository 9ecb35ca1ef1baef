"""The same dataset split twice, groups kept apart and at random: by how much the latter flatters.

`grouped` and `random` have as many clips of each class in each fold, so their folds are paired; the
variance is widened as in spread.py. Folds of any other two splits are compared unpaired (Welch).
Seeds are averaged within their fold first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean
from typing import ClassVar

import pandas as pd

from analysis.cells import Cell, Table
from analysis.spread import Interval, interval, ratio_of, welch

FLATTERING = ("random", "windows-at-random")
"""Clips of one recording are in training and in the test."""
PAIRED = {"grouped", "random"}
HOW_SPLIT = ("dataset.split", "dataset.folds", "dataset.group", "dataset.ratio.", "dataset.table.")
"""Settings in which the two may differ, or beginnings of their names."""
Values = Sequence[float]


@dataclass(frozen=True)
class Pair:
    """Two columns of a table. `rows`: of each method whose runs are all done, and of the floors,
    numbered as in `all_rows`; `whole`: of the methods together."""

    name: ClassVar[str] = "flatters"
    apart: int
    mixed: int
    title: str
    paired: bool
    methods: int
    whole: Interval
    rows: dict[int, Interval] = field(repr=False)

    @property
    def column(self) -> int:
        return self.mixed

    @property
    def after(self) -> int:
        return max(self.apart, self.mixed)

    def notes(self, table: Table) -> Iterator[str]:
        names = [table.datasets[i].label for i in (self.mixed, self.apart)]
        measure, shift = table.measure, self.whole.mean
        flatters = shift < 0 if measure.lowest_first else shift > 0
        points = " points" if measure.percent else ""
        text = self.whole.text(measure)
        how = "paired over folds" if self.paired else "unpaired, Welch"
        interval = f" [95% interval; {how}]" if self.whole.ends else ""
        what = "random splits flatter by" if flatters else "random splits do not flatter:"
        yield f"{names[0]} against {names[1]}: {what} {text}{points}, {self._mean()}{interval}"

    def _mean(self) -> str:
        return "one method" if self.methods == 1 else f"mean of {self.methods} methods"


def pairs(table: Table, frame: pd.DataFrame) -> tuple[Pair, ...]:
    """Every two columns that differ only in how their dataset is split."""
    settings = [_settings(frame[frame["dataset"] == one.name]) for one in table.datasets]
    numbers = range(len(table.datasets))
    found = []
    for apart, mixed in product(numbers, numbers):
        (split, same), (other, theirs) = settings[apart], settings[mixed]
        if other not in FLATTERING or split in FLATTERING or same != theirs:
            continue
        columns = [(row.cells[apart], row.cells[mixed]) for row in table.all_rows]
        done = {i: cells for i, cells in enumerate(columns) if all(c.complete for c in cells)}
        methods = [cells for i, cells in done.items() if i < len(table.rows)]
        ratio = ratio_of(frame[frame["dataset"] == table.datasets[mixed].name])
        ratio = 1 / 4 if ratio is None else ratio
        paired = {split, other} == PAIRED and all(_alike(*cells) for cells in done.values())
        rows = {i: _interval(a.folds, b.folds, paired, ratio) for i, (a, b) in done.items()}
        if methods:
            means = [_by_fold(cells) for cells in zip(*methods, strict=True)]
            whole, title = _interval(*means, paired, ratio), f"{other} \u2212 {split}"
            found.append(Pair(apart, mixed, title, paired, len(methods), whole, rows))
    return tuple(found)


def _settings(runs: pd.DataFrame) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Its split, and all that the other must have in common."""
    first = runs.iloc[0]
    same = [n for n in runs if n.startswith("dataset.") and not n.startswith(HOW_SPLIT)]
    return str(first["dataset.split"]), tuple((name, str(first[name])) for name in same)


def _alike(apart: Cell, mixed: Cell) -> bool:
    return [fold for fold, _ in apart.by_fold] == [fold for fold, _ in mixed.by_fold]


def _by_fold(cells: Sequence[Cell]) -> list[float]:
    """The mean over methods in each fold that all of them have."""
    shared = set.intersection(*({fold for fold, _ in cell.by_fold} for cell in cells))
    return [fmean(dict(cell.by_fold)[fold] for cell in cells) for fold in sorted(shared)]


def _interval(apart: Values, mixed: Values, paired: bool, ratio: float) -> Interval:
    if not paired:
        return welch(apart, mixed)
    return interval([b - a for a, b in zip(apart, mixed, strict=True)], ratio)

"""Do synthetic clips help? Runs that differ only in them, against those with a share of 0.

A run is paired with the one of the same fold and seed. Seeds of a fold share their clips and are
not independent, so their differences are averaged first: each fold counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis.cells import KEY, Table
from analysis.spread import Interval, interval, ratio_of

SAME = ("backbone.", "method.", "head.", "train.", "objective.")
"""Beginnings of the settings that the runs have in common, beside the dataset."""
ALONE = 1.0
"""The share of runs without real clips."""


@dataclass(frozen=True)
class Arm:
    """A row of the table with synthetic clips. `gain`: its score minus that with share 0, None
    while runs are missing."""

    row: int
    share: float
    shuffled: bool
    gain: Interval | None

    @property
    def name(self) -> str:
        share = "alone" if self.share == ALONE else f"{100 * self.share:g} %"
        return f"{share} shuffled" if self.shuffled else share


@dataclass(frozen=True)
class Family:
    """Rows that differ only in the synthetic clips of one generator, in one column: the row with
    share 0, and the others. `control`: by share, the score with given conditions minus that
    with shuffled ones."""

    column: int
    baseline: int
    arms: tuple[Arm, ...]
    control: dict[str, Interval]


def families(table: Table, frame: pd.DataFrame) -> tuple[Family, ...]:
    """In the order of the table; none without augmented runs."""
    if "augment.real" not in frame or frame["augment.real"].isna().all():
        return ()
    return tuple(_families(table, frame))


def _families(table: Table, frame: pd.DataFrame) -> Iterator[Family]:
    rows = {(row.backbone, row.method): i for i, row in enumerate(table.rows)}
    same = [name for name in frame if name.startswith(SAME)]
    for column, dataset in enumerate(table.datasets):
        of_dataset = frame[frame["dataset"] == dataset.name]
        # a generator has a run for each fold and seed: rows are compared by those of the same ones
        firsts = of_dataset.sort_values(["fold", "seed"], kind="stable").drop_duplicates(KEY)
        firsts["row"] = [
            rows[key] for key in zip(firsts["backbone"], firsts["method"], strict=True)
        ]
        firsts["share"] = _shares(firsts)
        alike = firsts[same].map(str).agg(" ".join, axis=1)
        for _, group in firsts.groupby(alike, sort=False):
            zero, others = group[group["share"] == 0], group[group["share"] > 0]
            for generator, arms in others.groupby("augment.generator", sort=False):
                own = zero[zero["augment.generator"] == generator]
                without = zero[zero["augment.generator"].isna()]
                bases = pd.concat([own, without, zero])
                if len(bases):
                    base = int(bases["row"].iloc[0])
                    yield _Pairs(table, of_dataset, column).family(base, arms)


def _shares(runs: pd.DataFrame) -> pd.Series:
    """Of their clips, how many are synthetic; 0 where the settings have no `augment`."""
    alone = runs["augment.real"].eq(False)
    return runs["augment.share"].astype(float).fillna(0.0).mask(alone, ALONE)


@dataclass(frozen=True)
class _Pairs:
    table: Table
    runs: pd.DataFrame
    column: int

    def family(self, base: int, of_arms: pd.DataFrame) -> Family:
        arms = [
            Arm(int(row), float(share), how == "shuffled", self.less(int(row), base))
            for row, share, how in of_arms[["row", "share", "augment.conditions"]].itertuples(
                index=False, name=None
            )
        ]
        arms.sort(key=lambda arm: (arm.share, arm.shuffled))
        given = {arm.share: arm for arm in arms if not arm.shuffled}
        control = {
            given[arm.share].name: between
            for arm in arms
            if arm.shuffled
            and arm.share in given
            and (between := self.less(given[arm.share].row, arm.row))
        }
        return Family(self.column, base, tuple(arms), control)

    def less(self, row: int, other: int) -> Interval | None:
        """One minus the other, if the runs of both are done."""
        rows = [self.table.rows[i] for i in (row, other)]
        if not all(one.cells[self.column].complete for one in rows):
            return None
        score = self.table.measure.column
        ours, theirs = (self._done(one.backbone, one.method)[score] for one in rows)
        by_pair = (ours - theirs).dropna()
        if by_pair.empty:
            return None
        by_fold = by_pair.groupby("fold").mean()
        values = [self.table.measure.scaled(float(value)) for value in by_fold]
        return interval(values, ratio_of(self._done(rows[1].backbone, rows[1].method)))

    def _done(self, backbone: str, method: str) -> pd.DataFrame:
        of = (self.runs["backbone"] == backbone) & (self.runs["method"] == method)
        return self.runs[of & (self.runs["state"] == "done")].set_index(["fold", "seed"])

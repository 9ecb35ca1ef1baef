"""The column of differences from the runs without synthetic clips, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from analysis.cells import Table
from analysis.shares import ALONE, Family, families
from analysis.spread import Interval

METHOD = (
    "minus share 0: paired by fold and seed, seeds averaged within their fold first; in brackets "
    "the 95% interval, widened for folds that share training clips (Nadeau and Bengio) and not "
    "corrected for the number of rows"
)


@dataclass(frozen=True)
class Gains:
    """Of all families in one column of the table; `rows` as in `Pair`."""

    name: ClassVar[str] = "gain"
    title: ClassVar[str] = "minus share 0"
    column: int
    rows: dict[int, Interval] = field(repr=False)
    of: tuple[Family, ...]

    @property
    def after(self) -> int:
        return self.column

    def notes(self, table: Table) -> Iterator[str]:
        yield METHOD
        for family in self.of:
            head = (
                f"{table.datasets[self.column].label}, against {table.rows[family.baseline].label}"
            )
            yield f"{head}: {'; '.join(_verdicts(table, family))}"
            for share, between in family.control.items():
                what = "synthetic clips alone" if share == ALONE else f"share {share:g}"
                yield (
                    f"{table.datasets[self.column].label}, {what}: given minus shuffled conditions "
                    f"{_told(table, between)}"
                )


def gains(table: Table, frame: pd.DataFrame) -> tuple[Gains, ...]:
    found: dict[int, list[Family]] = {}
    for family in families(table, frame):
        found.setdefault(family.column, []).append(family)
    return tuple(
        Gains(
            column,
            {arm.row: arm.gain for one in several for arm in one.arms if arm.gain},
            tuple(several),
        )
        for column, several in found.items()
    )


def _verdicts(table: Table, family: Family) -> Iterator[str]:
    """Each row is named once; `better: none` is an answer too."""
    known = [(table.rows[arm.row].label, arm.gain) for arm in family.arms]
    better = 1 - 2 * table.measure.lowest_first
    for what, sign in (("better", better), ("worse", -better)):
        names = [label for label, gain in known if gain and gain.ends and gain.sign == sign]
        yield f"{what}: {', '.join(names) or 'none'}"
    unclear = [label for label, gain in known if gain and gain.ends and gain.sign == 0]
    if unclear:
        yield f"no difference shown, as the interval includes 0: {', '.join(unclear)}"
    if single := [label for label, gain in known if gain and not gain.ends]:
        yield f"one fold, so no interval: {', '.join(single)}"
    if missing := [label for label, gain in known if not gain]:
        yield f"runs are missing: {', '.join(missing)}"


def _told(table: Table, between: Interval) -> str:
    text = f"{between.text(table.measure)}{' points' * table.measure.percent}"
    if between.ends is None:
        return f"{text}; one fold, so no interval"
    return f"{text}; no difference shown" if between.sign == 0 else text

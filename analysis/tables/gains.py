"""The column of differences from the runs without synthetic clips, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from analysis.cells import Table
from analysis.figures.shares import titles
from analysis.shares import Family, families
from analysis.spread import Interval

METHOD = (
    "minus share 0: paired by fold and seed, seeds averaged within their fold first; in brackets "
    "the 95% interval, widened for folds that share training clips (Nadeau and Bengio) and not "
    "corrected for the number of rows"
)

UNCLEAR = "no difference shown, as the interval includes 0"
ONE, MISSING = "one fold, so no interval", "runs are missing"


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
        for family, title in zip(self.of, titles(table, self.of), strict=True):
            baseline = table.rows[family.baseline].label
            yield f"{title}, against {baseline}: {'; '.join(_verdicts(table, family))}"
            if family.control:
                found = (f"{share} {_told(table, one)}" for share, one in family.control.items())
                yield f"{title}, given minus shuffled conditions: {'; '.join(found)}"


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
    measure, better = table.measure, 1 - 2 * table.measure.lowest_first
    found: dict[str, list[str]] = {"better": [], "worse": [], UNCLEAR: [], ONE: [], MISSING: []}
    for arm in family.arms:
        if arm.gain is None:
            what = MISSING
        elif arm.gain.ends is None:
            what = ONE
        else:
            what = {better: "better", -better: "worse"}.get(arm.gain.sign(measure), UNCLEAR)
        found[what].append(arm.name)
    for what, names in found.items():
        if names or what in ("better", "worse"):
            yield f"{what}: {', '.join(names) or 'none'}"


def _told(table: Table, between: Interval) -> str:
    text = between.text(table.measure)
    return (
        text
        if between.ends is None or between.sign(table.measure)
        else f"{text} (no difference shown)"
    )

"""What every format shows of a table: its heads, its lines entry by entry, and its notes.

It is decided here once, so that LaTeX, HTML, Markdown and the terminal agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Protocol

from analysis.cells import DASH, Cell, Row, Table
from analysis.spread import Interval
from analysis.tables.paper import Reference
from analysis.tables.significance import Comparison

MADE_UP = "\u2021"  # a double dagger
MIXED = "\u2020"  # a dagger
COLORS = {
    "paper": ("1B7837", "B2182B"),  # green and red, as in the paper
    "safe": ("0060A8", "B85000"),  # blue and orange, for readers who cannot tell red from green
    "grey": ("000000", "404040"),
}
"""Of the best and the second best, which are also bold and underlined."""
COUNTED = "Params: trainable, without the head"


@dataclass(frozen=True)
class Entry:
    """`mean` is aligned; `beside` follows it in small type. `mark`: best, second or nothing."""

    mean: str = ""
    beside: str = ""
    mark: str = ""
    outside: bool = False


@dataclass(frozen=True)
class Line:
    """A method, below it a reference's numbers, or a floor: `row` is its number in `all_rows`.

    `rule`: draw a line above.
    """

    row: int
    label: str
    entries: tuple[Entry, ...]
    kind: Literal["method", "reference", "floor"] = "method"
    rule: bool = False


class Differences(Protocol):
    """A column of differences between cells, each with its interval, by row."""

    @property
    def name(self) -> str:
        """In the CSV file, beside the cells of `column`."""

    @property
    def title(self) -> str: ...
    @property
    def column(self) -> int: ...
    @property
    def after(self) -> int:
        """The column of the table that it stands behind."""

    @property
    def rows(self) -> dict[int, Interval]: ...
    def notes(self, table: Table) -> Iterator[str]: ...


@dataclass(frozen=True)
class Column:
    """`of` is a dataset's number, the datasets that share a column of parameters, or
    differences."""

    title: str
    group: str
    kind: Literal["params", "cell", "average", "difference"]
    of: int | range | Differences
    wide: bool


@dataclass(frozen=True)
class Extras:
    """What a table shows beyond the study's own numbers."""

    references: tuple[Reference, ...] = ()
    tolerance: float | None = None
    comparison: Comparison | None = None
    differences: tuple[Differences, ...] = ()

    def outside(self, difference: float) -> bool:
        """1e-9 for rounding: 1.48 is within 1.48."""
        return self.tolerance is not None and abs(difference) > self.tolerance + 1e-9


@dataclass(frozen=True)
class Layout:
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    banner: str
    notes: tuple[str, ...]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The common heads with the number of columns under each; "" for columns without."""
        return [(head, len(list(of))) for head, of in groupby(c.group for c in self.columns)]

    @property
    def has_groups(self) -> bool:
        return any(column.group for column in self.columns)


def lay_out(table: Table, extras: Extras) -> Layout:
    columns = tuple(_columns(table, bool(extras.references), extras.differences))
    unmarked = [""] * len(table.floors)
    marks = [[*table.marks(i), *unmarked] for i in range(len(table.datasets) + 1)]
    lines: list[Line] = []
    for i, row in enumerate(table.all_rows):
        entries = tuple(_entry(table, extras, row, i, column, marks) for column in columns)
        if i >= len(table.rows):
            lines.append(Line(i, row.label, entries, "floor", rule=i == len(table.rows)))
            continue
        rule = table.grouped and i > 0 and row.group != table.rows[i - 1].group
        lines.append(Line(i, row.label, entries, rule=rule))
        lines += _reference_lines(table, extras, i, columns)
    return Layout(columns, tuple(lines), banner(table), tuple(notes(table, extras)))


def banner(table: Table) -> str:
    """The warning above a table with made-up numbers, else an empty text."""
    if not table.synthetic:
        return ""
    measured = sum(cell.finished > 0 for row in table.rows for cell in row.cells)
    which = "all numbers" if table.synthetic == measured else f"the numbers marked {MADE_UP}"
    return f"SYNTHETIC: {which} are made up, nothing was trained"


def notes(table: Table, extras: Extras) -> Iterator[str]:
    cells = [cell for row in table.rows for cell in row.cells if cell.folds]
    if cells and not any(cell.folds[1:] for cell in cells):
        yield "One fold, so without a spread over folds; seeds averaged"
    else:
        spread = table.spread.in_words
        yield f"Mean \u00b1 {spread} over folds, seeds averaged within their fold first"
    yield COUNTED
    yield f"{table.measure.in_words}{', lower is better' if table.measure.lowest_first else ''}"
    if table.floors:
        names = " and ".join(row.label for row in table.floors)
        real = any(row.method == "real" for row in table.floors)
        how = "in the place of synthetic ones" if real else "without a network, on the same clips"
        yield f"Below the line, not ranked: {names}, {how}"
    if any(cell.mixed for row in table.rows for cell in row.cells):
        yield f"{MIXED}: its runs were made with several codes; --trace ROW COLUMN lists them"
    if extras.comparison:
        yield from extras.comparison.notes
    lines = (line for one in extras.differences for line in one.notes(table))
    yield from dict.fromkeys(lines)
    for reference in extras.references:
        yield f"{reference.name}, and ours minus it: {reference.source}"
        yield from reference.about(table)
    if extras.tolerance is not None:
        yield f"!: further than {extras.tolerance:g} away"


def _columns(table: Table, compared: bool, differences: Sequence[Differences]) -> Iterator[Column]:
    for block in table.params_blocks:
        yield Column("Params", "", "params", block, wide=False)
        for i in block:
            dataset = table.datasets[i]
            cells = [row.cells[i] for row in table.rows]
            wide = any(_beside(table, cell, None) for cell in cells)
            yield Column(dataset.title, dataset.group, "cell", i, wide or compared)
            for one in differences:
                if i == one.after:
                    yield Column(one.title, dataset.group, "difference", one, wide=True)
    if table.has_average:
        wide = compared or any(row.synthetic for row in table.rows)
        yield Column("Avg", "", "average", len(table.datasets), wide)


def _entry(
    table: Table, extras: Extras, row: Row, i: int, column: Column, marks: list[list[str]]
) -> Entry:
    if isinstance(column.of, range):
        return Entry(row.params(column.of))
    if not isinstance(column.of, int):
        between = column.of.rows.get(i)
        mean, _, ends = between.text(table.measure).partition(" ") if between else (DASH, "", "")
        return Entry(mean, ends)
    mark = marks[column.of][i]
    if column.kind == "average":
        average = row.average
        if average is None:
            return Entry(DASH)
        return Entry(table.measure.text(average), MADE_UP if row.synthetic else "", mark)
    cell = row.cells[column.of]
    test = extras.comparison and extras.comparison.tests.get((i, column.of))
    star = "*" if test and test.significant else ""
    return Entry(
        table.measure.text(cell.mean) if cell.finished else DASH,
        _beside(table, cell, star),
        mark,
    )


def _beside(table: Table, cell: Cell, star: str | None) -> str:
    spread = "" if cell.spread is None else f"\u00b1 {table.measure.text(cell.spread)}"
    flags = (star or "") + MIXED * cell.mixed + MADE_UP * cell.synthetic
    return " ".join(part for part in (spread, cell.counts, flags) if part)


def _reference_lines(
    table: Table, extras: Extras, i: int, columns: tuple[Column, ...]
) -> Iterator[Line]:
    """No line for a row that a reference has no measurement of."""
    row = table.rows[i]
    for reference in extras.references:
        entries = tuple(_theirs(table, extras, reference, row, column) for column in columns)
        cells = [e for e, c in zip(entries, columns, strict=True) if c.kind == "cell"]
        if any(entry.mean for entry in cells):
            yield Line(i, reference.name, entries, kind="reference")


def _theirs(table: Table, extras: Extras, reference: Reference, row: Row, column: Column) -> Entry:
    if column.kind == "difference":
        return Entry()
    if isinstance(column.of, range):
        labels = [table.datasets[i].label for i in column.of]
        known = dict.fromkeys(filter(None, (reference.parameters(row, name) for name in labels)))
        return Entry(DASH.join(known))
    if column.kind == "average":
        datasets = frozenset(dataset.label for dataset in table.datasets)
        value, ours, label = reference.average(row, datasets), row.average, "Avg"
    else:
        label, cell = table.datasets[column.of].label, row.cells[column.of]
        value, ours = reference.value(row, label), cell.mean if cell.finished else None
    if value is None:
        return Entry()
    text = reference.text(value, label)
    if ours is None or ours != ours:
        return Entry(text)
    difference = ours - value
    outside = extras.outside(difference)
    return Entry(text, table.measure.signed(difference) + "!" * outside, outside=outside)

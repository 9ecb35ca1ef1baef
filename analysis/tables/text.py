"""The table as text for a terminal, as Markdown for GitHub, and as CSV for a program."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from analysis.cells import GROUP, Table
from analysis.spread import Interval
from analysis.tables.layout import Entry, Extras, lay_out
from petl.terminal import console, no_formula

STYLES = {"best": "bold", "second": "underline", "": ""}
MARKDOWN = {"best": "**", "second": "*", "": ""}
CSV_COLUMNS = (
    *("study", "metric", "unit", "dataset", "backbone", "method", "dataset_label", "method_label"),
    *("mean", "std", "n", "expected", "params", "spread", "spread_kind", "folds", "synthetic"),
    *("published", "reproduction", "outside", "reference", "difference", "p", "p_holm"),
    *("flatters", "flatters_low", "flatters_high", "gain", "gain_low", "gain_high", "mixed_code"),
)


def to_text(table: Table, extras: Extras | None = None, styled: bool = False) -> str:
    """Aligned columns; `styled` adds bold and underline for a terminal that can show them."""
    layout = lay_out(table, extras or Extras())
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("\nMethod" if layout.has_groups else "Method")
    for column in layout.columns:
        head = f"{column.group}\n{column.title}" if layout.has_groups else column.title
        grid.add_column(Text(head), justify="right" if column.kind == "params" else "left")
    entries = (line.entries for line in layout.lines)
    columns = [_aligned(column) for column in zip(*entries, strict=True)]
    for i, line in enumerate(layout.lines):
        if line.rule:
            grid.add_section()
        label = f"  {line.label}" if line.kind == "reference" else line.label
        grid.add_row(Text(label), *(column[i] for column in columns))
    lines = rendered(grid, styled)
    return f"{layout.banner}\n\n{lines}" if layout.banner else lines


def rendered(grid: RichTable, styled: bool = False) -> str:
    """As wide as it is: a terminal wraps lines, a file does not."""
    buffer = StringIO()
    colours = "standard" if styled else None
    console(file=buffer, width=10_000, force_terminal=styled, color_system=colours).print(grid)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n")


def _aligned(entries: Sequence[Entry]) -> list[Text]:
    """One column, with the decimal points of its means in line."""
    width = max(len(entry.mean) for entry in entries)
    after = max(len(entry.mean.partition(".")[2]) for entry in entries)
    texts = []
    for entry in entries:
        digits = len(entry.mean.partition(".")[2])
        missing = after - digits if digits and entry.beside else 0
        text = Text(" " * max(0, width - len(entry.mean) - missing))
        text.append(entry.mean, STYLES[entry.mark]).append(" " * missing)
        texts.append(text.append(f" {entry.beside}") if entry.beside else text)
    return texts


def to_markdown(table: Table, extras: Extras | None = None) -> str:
    """The best in bold, the second best in italics."""
    layout = lay_out(table, extras or Extras())
    heads = [f"{c.group}{GROUP}{c.title}" if c.group else c.title for c in layout.columns]
    lines = [
        "<!-- Made by petl-ast -->",
        "",
        *([f"> **{layout.banner}**", ""] if layout.banner else []),
        _pipes("Method", *map(_escaped, heads)),
        _pipes("---", *["--:"] * len(heads)),
    ]
    for line in layout.lines:
        label = _escaped(line.label) if line.kind == "method" else f"*{_escaped(line.label)}*"
        lines.append(_pipes(label, *map(_markdown_entry, line.entries)))
    return "\n".join([*lines, "", *(f"- {_escaped(note)}" for note in layout.notes), ""])


def _markdown_entry(entry: Entry) -> str:
    mark = MARKDOWN[entry.mark]
    return f"{mark}{_escaped(entry.mean)}{mark} {_escaped(entry.beside)}".strip()


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in " ".join(text.split()))


def _pipes(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def to_csv(table: Table, extras: Extras | None = None) -> str:
    """A line per cell, with every digit."""
    cells = _cells(table, extras or Extras())
    frame = pd.DataFrame([map(no_formula, cell) for cell in cells], columns=list(CSV_COLUMNS))
    return frame.astype({"params": "Int64"}).to_csv(index=False, lineterminator="\n")


def to_json(table: Table, extras: Extras | None = None) -> str:
    """A list of the cells, with the columns of the CSV file; null where there is no number."""
    frame = pd.DataFrame(_cells(table, extras or Extras()), columns=list(CSV_COLUMNS))
    text: str = frame.to_json(orient="records", double_precision=15, force_ascii=False)
    return f"{text}\n"


def _cells(table: Table, extras: Extras) -> list[tuple[Any, ...]]:
    comparison = extras.comparison
    cells = []
    for i, row in enumerate(table.all_rows):
        for j, (dataset, cell) in enumerate(zip(table.datasets, row.cells, strict=True)):
            theirs = {r.name: r.value(row, dataset.label) for r in extras.references}
            apart = [cell.mean - value for value in theirs.values() if value is not None]
            test = comparison.tests.get((i, j)) if comparison else None
            limit = extras.tolerance
            apart_from = {d.name: d.rows.get(i) for d in extras.differences if d.column == j}
            cells.append(
                (
                    *(table.study, table.measure.column, "percent" * table.measure.percent),
                    *(dataset.name, row.backbone, row.method, dataset.label, row.label),
                    *(cell.mean, cell.std, cell.finished, cell.expected, cell.params),
                    *(cell.spread, table.spread.name, len(cell.folds), cell.synthetic),
                    *(theirs.get("published"), theirs.get("reproduction")),
                    None if limit is None or not apart else any(map(extras.outside, apart)),
                    *(comparison and comparison.reference, test and test.mean),
                    *(test and test.p, test and test.adjusted),
                    *_with_ends(apart_from.get("flatters")),
                    *_with_ends(apart_from.get("gain")),
                    cell.mixed,
                )
            )
    return cells


def _with_ends(difference: Interval | None) -> tuple[float | None, ...]:
    if difference is None:
        return None, None, None
    return difference.mean, *(difference.ends or (None, None))

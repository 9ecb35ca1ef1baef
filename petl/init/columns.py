"""Which column of a CSV file is which, by its values and, where these leave a choice, its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from petl.data.layouts.reading import PARTS
from petl.errors import UserError, nearest

Rows = Sequence[dict[str, str]]

LABELS = ("label", "class", "category", "species", "target", "tag", "word", "name")
"""Names that a column of classes usually has, the most telling first."""
LOOKED_AT = 200
"""Rows whose files are looked for."""


def paths(file: Path, rows: Rows) -> tuple[Path, str]:
    """The corpus's folder, and the column of paths in it. The table may be one folder deeper."""
    some = rows[:: -(-len(rows) // LOOKED_AT)]
    for folder in (file.absolute().parent, file.absolute().parent.parent):
        for column in rows[0]:
            if all(row[column] and (folder / row[column]).is_file() for row in some):
                return folder, column
    raise UserError(
        f"{file}: no column of it has paths of files, relative to the folder that the table is in "
        f"or to the one above; it has {', '.join(rows[0])}"
    )


def label(file: Path, rows: Rows, path: str, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in rows[0]:
            raise UserError(f"{file}: no column '{wanted}'{nearest(wanted, rows[0])}")
        return wanted
    possible = [
        column
        for column in rows[0]
        if column != path and 2 <= len({row[column] for row in rows}) <= len(rows) / 3
    ]
    others = [column for column in possible if column not in (part(rows), fold(rows))]
    named = [column for name in LABELS for column in others if column.lower() == name]
    if len(chosen := named[:1] or others) == 1:
        return chosen[0]
    found = f"; it can be {', '.join(others)}" if others else ""
    raise UserError(f"{file}: name the column of the classes with --label{found}")


def separator(cells: Sequence[str]) -> str | None:
    """What stands between several labels in one cell, if at least two labels occur apart too."""
    alone = {cell.strip() for cell in cells}
    for mark in (";", "|", ","):
        joined = [cell for cell in cells if mark in cell]
        if len({part.strip() for cell in joined for part in cell.split(mark)} & alone) > 1:
            return mark
    return None


def part(rows: Rows) -> str | None:
    """A column whose values are train, validation and test, or the first and one of the others."""
    for column in rows[0]:
        values = {PARTS.get(row[column].lower()) for row in rows}
        if None not in values and "train" in values and len(values) > 1:
            return column
    return None


def fold(rows: Rows) -> str | None:
    """A column called fold with the numbers from 1 to at least 3."""
    for column in rows[0]:
        values = {row[column] for row in rows}
        counted = {str(number) for number in range(1, max(3, len(values)) + 1)}
        if column.lower() in ("fold", "folds") and values == counted:
            return column
    return None

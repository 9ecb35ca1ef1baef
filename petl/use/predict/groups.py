"""Which files belong together, such as the parts of one recording: by a pattern or by a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from petl.data.layouts.reading import rows
from petl.errors import UserError

PATHS = ("file", "path", "filename")
"""What the column of files may be called."""


def groups_of(by: str, files: Sequence[Path]) -> dict[Path, str]:
    """`by` is a pattern with one pair of parentheses, or `TABLE.csv:COLUMN`."""
    return _by_pattern(by, files) if "(" in by else _by_table(by, files)


def _by_pattern(by: str, files: Sequence[Path]) -> dict[Path, str]:
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise UserError(f"--group {by!r} is not a regular expression: {error}") from None
    if pattern.groups != 1:
        raise UserError(f"--group {by!r}: put one pair of parentheses around the group's name")
    groups = {}
    for file in files:
        found = pattern.search(str(file))
        if found is None or not found[1]:
            raise UserError(f"{file}: --group {by!r} does not match it")
        groups[file] = found[1]
    return groups


def _by_table(by: str, files: Sequence[Path]) -> dict[Path, str]:
    name, _, column = by.rpartition(":")
    if not name or not column:
        raise UserError(
            f"--group {by!r}: give TABLE.csv:COLUMN, or a pattern with parentheses, such as "
            r"'(.*)_part\d+'"
        )
    return by_column(Path(name), column, "", Path(name).parent, files)


def by_column(
    table: Path, column: str, path: str, folder: Path, files: Sequence[Path]
) -> dict[Path, str]:
    """From a table with a column of paths, relative to `folder` or to the current one."""
    entries = list(rows(table, [column, *([path] if path else [])]))
    paths = [path] if path else [name for name in PATHS if entries and name in entries[0][1]]
    if not paths:
        raise UserError(f"{table}: no column of files; it should be called {' or '.join(PATHS)}")
    known: dict[Path, str] = {}
    for where, row in entries:
        if not row[column]:
            raise UserError(f"{where}: {column} is empty")
        for base in (folder, Path()):
            known.setdefault((base / row[paths[0]]).absolute(), row[column])
    for file in files:
        if file.absolute() not in known:
            raise UserError(f"{file}: not in {table}")
    return {file: known[file.absolute()] for file in files}

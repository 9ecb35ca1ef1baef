"""Your own sounds in a CSV: for each clip a path, a label or numbers, perhaps a fold or a part."""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.config.dataset import Table
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import PARTS, checked, in_order, inside, known, number, rows, whole
from petl.errors import UserError, nearest


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of the rows; labels are sorted."""
    table = dataset.table
    assert table is not None  # Dataset has checked it
    file = folder / table.file
    used = (table.path, table.label, table.fold, table.part, table.group, *dataset.targets)
    entries = list(rows(file, [column for column in used if column]))
    if not entries:
        raise UserError(f"{file}: no row below the header")
    classes = _classes(entries, table)
    label = {name: rank for rank, name in enumerate(classes)}
    several = table.separator is not None
    clips = []
    for where, row in entries:
        path = inside(row[table.path], table.path, where)
        clips.append(
            Clip(
                path,
                folder / path,
                0 if several or not table.label else label[row[table.label]],
                fold=whole(row[table.fold], table.fold, where) if table.fold else 0,
                part=_part(row[table.part], table.part, where) if table.part else "",
                targets=tuple(
                    number(row[name], name, where, dataset.range) for name in dataset.targets
                ),
                labels=_labels(row, table, label, where),
                group=_group(row[table.group], table.group, where) if table.group else "",
            )
        )
    return checked(folder, clips, classes, dataset, file, several=several)


def _classes(entries: list[tuple[str, dict[str, str]]], table: Table) -> list[str]:
    """With a separator a cell may be empty: a clip in which there is none of the classes."""
    if table.label is None:
        return []
    if table.separator is None:
        for where, row in entries:
            if not row[table.label]:
                raise UserError(f"{where}: {table.label} is empty")
        return in_order(row[table.label] for _, row in entries)
    cells = (row[table.label].split(table.separator) for _, row in entries)
    return in_order(name.strip() for cell in cells for name in cell if name.strip())


def _labels(
    row: dict[str, str], table: Table, label: dict[str, int], where: str
) -> tuple[int, ...]:
    if table.label is None or table.separator is None:
        return ()
    return known(row[table.label], table.separator, label, where)


def _group(cell: str, column: str, where: str) -> str:
    if not cell:
        raise UserError(f"{where}: {column} is empty")
    return cell


def _part(cell: str, column: str, where: str) -> str:
    name = cell.lower()
    if name not in PARTS:
        raise UserError(f"{where}: {column} {cell!r} is not a part{nearest(name, PARTS)}")
    return PARTS[name]

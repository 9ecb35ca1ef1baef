"""Own sounds in a CSV: a row per clip with its path, its label or numbers, perhaps fold or part."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import (
    PARTS,
    check_classes,
    check_files,
    check_folds,
    check_splits,
    in_order,
    inside,
    rows,
    whole,
)
from petl.errors import UserError, nearest

Cells = dict[str, str]
LARGEST = float(np.finfo(np.float32).max)
"""Beyond it a target would become infinite on its way to the model."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of the rows; labels are sorted."""
    table = dataset.table
    assert table is not None  # Dataset sees to it
    file = folder / table.file
    named = (table.path, table.label, table.fold, table.part, *dataset.targets)
    found: list[tuple[str, Cells]] = list(rows(file, [column for column in named if column]))
    if not found:
        raise UserError(f"{file}: no row below the header")
    classes = (
        in_order(_label(table.label, row, where) for where, row in found) if table.label else ()
    )
    label = {name: rank for rank, name in enumerate(classes)}
    clips = []
    for where, row in found:
        path = inside(row[table.path], table.path, where)
        clips.append(
            Clip(
                path,
                folder / path,
                label[row[table.label]] if table.label else 0,
                fold=whole(row[table.fold], table.fold, where) if table.fold else 0,
                part=_part(table.part, row, where) if table.part else "",
                targets=tuple(_target(column, row, where) for column in dataset.targets),
            )
        )
    if classes:
        check_classes(file, classes, dataset)
    if table.fold:
        check_folds(file, clips, dataset)
    if table.part:
        check_splits(file, 1, dataset)
    check_files(folder, clips)
    return Corpus(folder, tuple(clips), classes)


def _label(column: str, row: Cells, where: str) -> str:
    if not row[column]:
        raise UserError(f"{where}: {column} is empty")
    return row[column]


def _part(column: str, row: Cells, where: str) -> str:
    name = row[column].lower()
    if name not in PARTS:
        raise UserError(f"{where}: {column} {row[column]!r} is no part{nearest(name, PARTS)}")
    return PARTS[name]


def _target(column: str, row: Cells, where: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        raise UserError(f"{where}: {column} {row[column]!r} is not a number") from None
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise UserError(f"{where}: {column} {row[column]!r} is not a finite number")
    return value

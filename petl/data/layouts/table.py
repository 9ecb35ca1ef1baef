"""Your own sounds in a CSV: for each clip a path, a label or numbers, perhaps a fold or a part."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import PARTS, checked, in_order, inside, rows, whole
from petl.errors import UserError, nearest

LARGEST = float(np.finfo(np.float32).max)
"""A larger target would become infinite in the model's float32."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of the rows; labels are sorted."""
    table = dataset.table
    assert table is not None  # Dataset has checked it
    file = folder / table.file
    used = (table.path, table.label, table.fold, table.part, *dataset.targets)
    entries = list(rows(file, [column for column in used if column]))
    if not entries:
        raise UserError(f"{file}: no row below the header")
    if table.label:
        for where, row in entries:
            if not row[table.label]:
                raise UserError(f"{where}: {table.label} is empty")
    classes = in_order(row[table.label] for _, row in entries) if table.label else []
    label = {name: rank for rank, name in enumerate(classes)}
    clips = []
    for where, row in entries:
        path = inside(row[table.path], table.path, where)
        clips.append(
            Clip(
                path,
                folder / path,
                label[row[table.label]] if table.label else 0,
                fold=whole(row[table.fold], table.fold, where) if table.fold else 0,
                part=_part(row[table.part], table.part, where) if table.part else "",
                targets=tuple(_target(row[column], column, where) for column in dataset.targets),
            )
        )
    return checked(folder, clips, classes, dataset, file)


def _part(cell: str, column: str, where: str) -> str:
    name = cell.lower()
    if name not in PARTS:
        raise UserError(f"{where}: {column} {cell!r} is not a part{nearest(name, PARTS)}")
    return PARTS[name]


def _target(cell: str, column: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise UserError(f"{where}: {column} {cell!r} is not a number") from None
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise UserError(f"{where}: {column} {cell!r} is not a finite number")
    return value

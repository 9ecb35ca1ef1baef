"""ESC-50 as published: audio/<fold>-<source>-<take>-<target>.wav, described by meta/esc50.csv.

Parts of it, such as ESC-10, and other corpora in the same layout read the same way.
"""

from __future__ import annotations

import csv
from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus, first_few
from petl.errors import UserError

COLUMNS = ("filename", "fold", "target", "category")
"""Those used, of filename,fold,target,category,esc10,src_file,take."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    """Labels are the targets' ranks: ESC-50's own numbers 0..49 in the whole, 0..9 in ESC-10."""
    table = folder / "meta" / "esc50.csv"
    rows = _rows(table)
    names = {target: category for _, _, target, category in rows}
    label = {target: rank for rank, target in enumerate(sorted(names))}
    clips = tuple(
        Clip(f"audio/{file}", folder / "audio" / file, label[target], fold)
        for file, fold, target, _ in rows
    )
    if len(label) != dataset.classes:
        raise UserError(f"{table}: {len(label)} classes, but dataset.classes is {dataset.classes}")
    folds = sorted({clip.fold for clip in clips})
    if folds != list(range(1, dataset.folds + 1)):
        found = ", ".join(map(str, folds))
        raise UserError(f"{table}: folds {found}, but dataset.folds is {dataset.folds}")
    missing = [clip.file for clip in clips if not clip.path.is_file()]
    if missing:
        count = f"{len(missing)} of {len(clips)}"
        raise UserError(f"{folder}: {count} clips are missing: {first_few(missing)}")
    return Corpus(folder, clips, tuple(names[target] for target in sorted(names)))


def _rows(table: Path) -> list[tuple[str, int, int, str]]:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            absent = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if absent:
                raise UserError(f"{table}: no column {', '.join(absent)}")
            return [_row(row, f"{table}, line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: {getattr(error, 'strerror', None) or error}") from None


def _row(row: dict[str, str], where: str) -> tuple[str, int, int, str]:
    file, fold, target, category = (row[column] or "" for column in COLUMNS)
    if not file or Path(file).name != file:
        raise UserError(f"{where}: filename is {file!r}, not the name of a file in audio/")
    try:
        return file, int(fold), int(target), category
    except ValueError:
        raise UserError(f"{where}: fold {fold!r} and target {target!r} must be numbers") from None

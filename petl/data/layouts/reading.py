"""What the layouts share: tables with line numbers, and checks against the study's settings."""

from __future__ import annotations

import csv
import difflib
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TextIO

from petl.config import Dataset
from petl.config.dataset import DRAWN
from petl.config.group_pattern import group_in
from petl.data.corpus import Clip, Corpus, first_few
from petl.errors import UserError, nearest, reason

PARTS = {"train": "train", "validation": "validation", "test": "test"}
PARTS |= dict.fromkeys(("valid", "val", "dev"), "validation")
"""The names that datasets have for the parts of a split."""
LARGEST = 3.4e38
"""A larger target would become infinite in the model's float32."""


# --- text files ----------------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """As UTF-8, with or without a byte order mark. Errors name the file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {holds(path)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: {reason(error)}") from None


def rows(
    table: Path, columns: Sequence[str], bare: bool = False
) -> Iterator[tuple[str, dict[str, str]]]:
    """For each row its place (`table.csv, line 3`) and its cells; a missing cell is ''.

    A `bare` file has these columns and no header, but may have comments: lines that start with #.
    """
    with opened(table) as file:
        names = columns if bare else None
        reader = csv.DictReader(file, names, skipinitialspace=True, strict=True)
        header = [column.strip() for column in reader.fieldnames or ()]
        reader.fieldnames = header
        need_columns(columns, header, table)
        for row in reader:
            if bare and (row[header[0]] or "").startswith("#"):
                continue
            where = f"{table}, line {reader.line_num}"
            if None in row:
                raise UserError(
                    f"{where}: more cells than the {len(header)} columns; "
                    "put values with a comma in quotes"
                )
            yield where, {column: (row[column] or "").strip() for column in header}


def need_columns(columns: Sequence[str], header: Sequence[str], table: Path) -> None:
    if absent := [column for column in columns if column not in header]:
        has = first_few(list(header), 12) or "nothing"
        close = difflib.get_close_matches(absent[0], header, n=1, cutoff=0.7)
        meant = f"; is '{close[0]}' a typing mistake?" if close else ""
        raise UserError(f"{table}: no column {', '.join(absent)}; it has {has}{meant}")


def whole(cell: str, column: str, where: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise UserError(f"{where}: {column} {cell!r} is not a whole number") from None


def number(cell: str, column: str, where: str, within: tuple[float, float] | None = None) -> float:
    """A target of a regression."""
    try:
        value = float(cell)
    except ValueError:
        raise UserError(f"{where}: {column} {cell!r} is not a number") from None
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise UserError(f"{where}: {column} {cell!r} is not a finite number")
    if within and not within[0] <= value <= within[1]:
        low, high = within
        raise UserError(f"{where}: {column} {cell} is not between {low:g} and {high:g}")
    return value


def inside(cell: str, column: str, where: str) -> str:
    """A path inside the corpus's folder, which can then be moved, or mounted into a container."""
    path = PurePosixPath(cell)
    if not cell or path.is_absolute() or ".." in path.parts:
        raise UserError(
            f"{where}: {column} is {cell!r}, not a path inside the corpus's folder; "
            "if the sound is elsewhere, put a link to it into that folder"
        )
    return str(path)


def known(cell: str, separator: str, label: Mapping[str, int], where: str) -> tuple[int, ...]:
    """The labels of a cell such as `rain; wind`, each once and in order."""
    names = [name for part in cell.split(separator) if (name := part.strip())]
    for name in names:
        if name not in label:
            raise UserError(f"{where}: there is no class {name!r}{nearest(name, label)}")
    return tuple(sorted({label[name] for name in names}))


def numbered(
    folder: Path,
    dataset: Dataset,
    table: Path,
    columns: tuple[str, str, str, str],
    group: str,
    path_of: Callable[[str, int], str],
) -> Corpus:
    """From a table of file, fold, class number and class name, as ESC-50 and UrbanSound8K have it.

    Labels are the ranks of the class numbers: the same numbers if all are there, 0..9 in ESC-10.
    `group` names the column of recordings, which a part of a corpus may lack.
    """
    entries: list[tuple[str, int, int, str]] = []
    names: dict[int, str] = {}
    file_column, fold_column, number_column, _ = columns
    for where, row in rows(table, columns):
        file, fold, number, name = (row[column] for column in columns)
        if not file or Path(file).name != file:
            raise UserError(f"{where}: {file_column} is {file!r}, not the name of a file")
        official = whole(fold, fold_column, where)
        target = whole(number, number_column, where)
        if names.setdefault(target, name) != name:
            raise UserError(
                f"{where}: {number_column} {target} is {name!r} here and {names[target]!r} above"
            )
        entries.append((path_of(file, official), official, target, row.get(group, "")))
    label = {target: rank for rank, target in enumerate(sorted(names))}
    clips = [
        Clip(file, folder / file, label[target], fold, group=source)
        for file, fold, target, source in entries
    ]
    return checked(folder, clips, [names[target] for target in sorted(names)], dataset, table)


# --- what a study says must agree with what is there ----------------------------------------------


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted, but numbers by value: 2 comes before 10."""
    different = set(names)
    if all(name.isdecimal() for name in different):
        return sorted(different, key=lambda name: (int(name), name))
    return sorted(different)


def checked(
    folder: Path,
    clips: Collection[Clip],
    classes: Collection[str],
    dataset: Dataset,
    where: Path | None = None,
    splits: int | None = None,
    several: bool = False,
) -> Corpus:
    """The corpus, if its classes, folds and files are right; `where` names their table, if any.

    `splits` is for layouts in which the number of splits is not that of the folds; `several` for
    clips with several labels.
    """
    where = where or folder
    if classes and dataset.classes is not None and len(classes) != dataset.classes:
        raise UserError(
            f"{where}: {len(classes)} classes, but dataset.classes is {dataset.classes}; "
            f"it has {first_few(list(classes), 12)}"
        )
    drawn = dataset.split in DRAWN
    if any(clip.part for clip in clips):
        splits = 1
    if splits and dataset.folds != splits and not drawn:
        has = "one split" if splits == 1 else f"{splits} splits"
        raise UserError(
            f"{folder}: {dataset.layout} has {has}, but dataset.folds is {dataset.folds}"
        )
    folds = sorted({clip.fold for clip in clips})
    if not (splits or drawn) and any(folds) and folds != list(range(1, dataset.folds + 1)):
        listing = ", ".join(map(str, folds))
        raise UserError(f"{where}: folds {listing}, but dataset.folds is {dataset.folds}")
    _check_files(folder, clips)
    if dataset.group is not None:
        clips = _grouped(folder, clips, dataset.group)
    return Corpus(folder, tuple(clips), tuple(classes), several)


def _grouped(folder: Path, clips: Collection[Clip], pattern: str) -> list[Clip]:
    """With the group that the pattern finds in each path."""
    found = [group_in(pattern, clip.file) for clip in clips]
    if missing := [clip.file for clip, group in zip(clips, found, strict=True) if not group]:
        some = "any" if len(missing) == len(clips) else f"{len(missing):,}"
        raise UserError(
            f"{folder}: dataset.group {pattern!r} finds no group in {some} of {len(clips):,} "
            f"clips: {first_few(missing, 3)}"
        )
    return [replace(clip, group=group) for clip, group in zip(clips, found, strict=True)]


def _check_files(folder: Path, clips: Collection[Clip]) -> None:
    """List each folder once: to ask for every single file is slow on NFS."""
    names: dict[str, set[str]] = {}
    missing = []
    for clip in clips:
        parent, name = os.path.split(clip.file)
        if parent not in names:
            names[parent] = set(listed(folder / parent))
        if name not in names[parent]:
            missing.append(clip.file)
    if missing:
        count = f"{len(missing)} of {len(clips)}"
        raise UserError(f"{folder}: {count} clips are missing: {first_few(missing)}")
    counts = Counter(clip.file for clip in clips)
    if twice := [file for file, count in counts.items() if count > 1]:
        raise UserError(f"{folder}: named more than once: {first_few(twice)}")


# --- folders -------------------------------------------------------------------------------------


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Sorted, so that all machines see the same order. Nothing if there is no such folder.

    Hidden files, such as the ._ files of macOS, are left out.
    """
    try:
        with os.scandir(folder) as scanned:
            shown = [entry for entry in scanned if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None
    return sorted(shown, key=lambda entry: entry.name)


def listed(folder: Path) -> list[str]:
    return [entry.name for entry in entries(folder)]


def folders(folder: Path) -> list[str]:
    return [entry.name for entry in entries(folder) if entry.is_dir()]


def holds(path: Path) -> str:
    """What is in the last folder of the path that exists: often the corpus, one folder deeper."""
    nearest = next(parent for parent in path.parents if parent.is_dir())
    return f"{nearest} holds {first_few(listed(nearest), 8) or 'nothing'}"

"""What the readers of all layouts share: tables with line numbers, and what has to agree."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus, first_few
from petl.errors import UserError, reason

PARTS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What people call the parts of a corpus, and what they are."""


# --- tables --------------------------------------------------------------------------------------


def rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands (`table.csv, line 3`), and its cells; one that is not there is ''."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            header = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = header
            if absent := [column for column in columns if column not in header]:
                has = first_few(header, 12) or "nothing"
                raise UserError(f"{table}: no column {', '.join(absent)}; it has {has}")
            for row in reader:
                where = f"{table}, line {reader.line_num}"
                if None in row:
                    raise UserError(
                        f"{where}: more cells than the {len(header)} columns; "
                        "a value with a comma needs quotes"
                    )
                yield where, {column: (row[column] or "").strip() for column in header}
    except FileNotFoundError:
        raise UserError(f"{table}: No such file; {holds(table)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: {reason(error)}") from None


def whole(cell: str, column: str, where: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise UserError(f"{where}: {column} {cell!r} is not a whole number") from None


def inside(cell: str, column: str, where: str) -> str:
    """A path inside the corpus's folder, which can then be moved, or mounted into a container."""
    path = PurePosixPath(cell)
    if not cell or path.is_absolute() or ".." in path.parts:
        raise UserError(
            f"{where}: {column} is {cell!r}, not a path inside the corpus's folder; "
            "a link in that folder may lead to where the sound lies"
        )
    return str(path)


def numbered(
    folder: Path,
    dataset: Dataset,
    table: Path,
    columns: tuple[str, str, str, str],
    place: Callable[[str, int], str],
) -> Corpus:
    """A table of file, fold, class number and class name, as ESC-50 and UrbanSound8K have it.

    Labels are the numbers' ranks: the published ones in the whole, 0..9 in a part such as ESC-10.
    """
    found: list[tuple[str, int, int]] = []
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
        found.append((place(file, official), official, target))
    label = {target: rank for rank, target in enumerate(sorted(names))}
    clips = tuple(
        Clip(file, folder / file, label[target], fold=official) for file, official, target in found
    )
    classes = tuple(names[target] for target in sorted(names))
    check_classes(table, classes, dataset)
    check_folds(table, clips, dataset)
    check_files(folder, clips)
    return Corpus(folder, clips, classes)


# --- what has to agree ---------------------------------------------------------------------------


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sorted, but numbers by value: 2 comes before 10."""
    different = set(names)
    if all(name.isdecimal() for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def check_classes(where: Path, classes: Collection[str], dataset: Dataset) -> None:
    if len(classes) != dataset.classes:
        raise UserError(
            f"{where}: {len(classes)} classes, but dataset.classes is {dataset.classes}; "
            f"it has {first_few(list(classes), 12) or 'none'}"
        )


def check_folds(where: Path, clips: Iterable[Clip], dataset: Dataset) -> None:
    folds = sorted({clip.fold for clip in clips})
    if folds != list(range(1, dataset.folds + 1)):
        found = ", ".join(map(str, folds))
        raise UserError(f"{where}: folds {found}, but dataset.folds is {dataset.folds}")


def check_splits(where: Path, splits: int, dataset: Dataset) -> None:
    """Of layouts whose splits are not folds of the corpus."""
    if dataset.folds != splits:
        has = "one split" if splits == 1 else f"{splits} splits"
        raise UserError(
            f"{where}: {dataset.layout} has {has}, but dataset.folds is {dataset.folds}"
        )


def check_files(folder: Path, clips: Collection[Clip]) -> None:
    """Every clip is there, and once. A listing per folder: asking for each file is slow on NFS."""
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


# --- what lies on disk ---------------------------------------------------------------------------


def listed(folder: Path) -> list[str]:
    """Sorted, so that no machine sees another order. Nothing if there is no such folder."""
    return [entry.name for entry in entries(folder)]


def folders(folder: Path) -> list[str]:
    return [entry.name for entry in entries(folder) if entry.is_dir()]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Without hidden ones, such as the ._ files that a Mac leaves behind."""
    try:
        with os.scandir(folder) as found:
            shown = [entry for entry in found if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None
    return sorted(shown, key=lambda entry: entry.name)


def holds(path: Path) -> str:
    """What lies where a path stops existing: often the corpus, one folder deeper."""
    nearest = next(parent for parent in path.parents if parent.is_dir())
    return f"{nearest} holds {first_few(listed(nearest), 8) or 'nothing'}"

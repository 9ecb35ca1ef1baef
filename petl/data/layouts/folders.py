"""Own sounds: a folder per class, either in train/ and validation/ or straight in the corpus.

Folders in a class's folder are welcome, hidden files and links to folders too; whatever libsndfile
cannot read is passed over.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath

import soundfile

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import (
    PARTS,
    check_classes,
    check_splits,
    entries,
    folders,
    holds,
    in_order,
)
from petl.errors import UserError, nearest

DEEPEST = 32
"""Folders in folders beyond this are a link to a folder above."""

log = logging.getLogger(__name__)


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of part, class and path."""
    parts = _parts(folder) if dataset.split == "given" else _one_part(folder)
    if dataset.split == "given":
        check_splits(folder, 1, dataset)
    classes = in_order(name for top in parts for name in folders(folder / top))
    clips: list[Clip] = []
    passed_over: Counter[str] = Counter()
    for top, part in parts.items():
        for label, name in enumerate(classes):
            sounds, others = _sounds(folder, f"{top}/{name}".lstrip("/"))
            if not sounds and part in ("", "train"):
                raise UserError(
                    f"{folder / top / name}: no sound file to train on; it holds {_said(others)}"
                )
            clips += [Clip(file, folder / file, label, part=part) for file in sounds]
            passed_over += others
    check_classes(folder, classes, dataset)
    if passed_over:
        said = _said(passed_over)
        log.warning("%s: passed over %s, which libsndfile does not read", folder, said)
    return Corpus(folder, tuple(clips), classes)


def _parts(folder: Path) -> dict[str, str]:
    """What the folders are called and what they are, those that train first."""
    parts: dict[str, str] = {}
    for name in folders(folder):
        part = PARTS.get(name.lower())
        if part is None:
            raise UserError(
                f"{folder / name}: with 'split: given' a folder is a part{nearest(name, PARTS)}; "
                "folders that are classes want 'split: ratio'"
            )
        if part in parts.values():
            raise UserError(
                f"{folder}: more than one folder for {part}: {', '.join(parts)}, {name}"
            )
        parts[name] = part
    for part in ("train", "validation"):
        if part not in parts.values():
            raise UserError(f"{folder}: no folder {part}; {holds(folder / part)}")
    order = list(dict.fromkeys(PARTS.values()))
    return dict(sorted(parts.items(), key=lambda item: order.index(item[1])))


def _one_part(folder: Path) -> dict[str, str]:
    names = [PARTS.get(name.lower()) for name in folders(folder)]
    if None not in names and {"train", "validation"} <= set(names):
        raise UserError(
            f"{folder}: holds {', '.join(folders(folder))}: 'split: given' takes these parts; "
            "for 'split: ratio' the classes' folders lie straight in it"
        )
    return {"": ""}


def _sounds(folder: Path, place: str) -> tuple[list[str], Counter[str]]:
    """The sound files below, and how many others there are by their ending."""
    sounds, others = [], Counter[str]()
    for file in _files(folder, place):
        ending = PurePath(file).suffix.lower()
        if ending in _readable():
            sounds.append(file)
        else:
            others[ending or "without an ending"] += 1
    return sorted(sounds), others


def _files(folder: Path, place: str, depth: int = 0) -> Iterator[str]:
    if depth > DEEPEST:
        raise UserError(f"{folder / place}: folders in folders without end; is one a link?")
    for entry in entries(folder / place):
        file = f"{place}/{entry.name}"
        if entry.is_dir():
            yield from _files(folder, file, depth + 1)
        else:
            yield file


def _said(endings: Counter[str]) -> str:
    most = [f"{count} {ending}" for ending, count in endings.most_common(5)]
    return ", ".join(most) or "nothing"


@cache
def _readable() -> frozenset[str]:
    """Endings of what libsndfile decodes by itself; RAW has no header that would say how."""
    names = {*soundfile.available_formats()} - {"RAW"}
    same = {"aif", "aifc", "snd", "oga", "opus", "sph"}
    return frozenset(f".{name.lower()}" for name in (*names, *same))

"""Your own sounds: a folder per class, either in train/ and validation/ or directly in the corpus.

A class's folder may have subfolders and links to folders. Files that libsndfile does not read are
skipped with a warning.
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
from petl.data.layouts.reading import PARTS, checked, entries, folders, holds, in_order
from petl.data.splits import NAMES
from petl.errors import UserError, nearest

DEEPEST = 32
"""More levels of subfolders than this are a link to a folder above."""

log = logging.getLogger(__name__)


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of part, class and path."""
    parts = _parts(folder) if dataset.split == "given" else _no_parts(folder)
    classes = in_order(name for top in parts for name in folders(folder / top))
    clips: list[Clip] = []
    skipped: Counter[str] = Counter()
    for top, part in parts.items():
        for label, name in enumerate(classes):
            sounds, others = sounds_in(folder, f"{top}/{name}".lstrip("/"))
            if not sounds and part in ("", "train"):
                raise UserError(
                    f"{folder / top / name}: no sound file to train on; it holds {_listed(others)}"
                )
            clips += [Clip(file, folder / file, label, part=part) for file in sounds]
            skipped += others
    if skipped:
        files = _listed(skipped)
        log.warning("%s: skipped %s, which libsndfile does not read", folder, files)
    return checked(folder, clips, classes, dataset)


def _parts(folder: Path) -> dict[str, str]:
    """The parts by the names of their folders, training first."""
    parts: dict[str, str] = {}
    for name in folders(folder):
        part = PARTS.get(name.lower())
        if part is None:
            raise UserError(
                f"{folder / name}: with 'split: given' a folder is a part{nearest(name, PARTS)}; "
                "if the folders are classes, use 'split: ratio'"
            )
        if part in parts.values():
            raise UserError(
                f"{folder}: more than one folder for {part}: {', '.join(parts)}, {name}"
            )
        parts[name] = part
    if "train" not in parts.values():
        raise UserError(f"{folder}: no folder train; {holds(folder / 'train')}")
    if len(parts) == 1:
        inside = holds(folder / "validation")
        raise UserError(f"{folder}: no folder validation and no folder test; {inside}")
    return dict(sorted(parts.items(), key=lambda item: NAMES.index(item[1])))


def _no_parts(folder: Path) -> dict[str, str]:
    names = [PARTS.get(name.lower()) for name in folders(folder)]
    if None not in names and {"train", "validation"} <= set(names):
        raise UserError(
            f"{folder} holds {', '.join(folders(folder))}: use 'split: given' for them; "
            "with 'split: ratio' it must hold the classes' folders"
        )
    return {"": ""}


def sounds_in(folder: Path, inner: str) -> tuple[list[str], Counter[str]]:
    """The sound files in a folder, and the number of other files by extension."""
    sounds, others = [], Counter[str]()
    for file in _files(folder, inner):
        extension = PurePath(file).suffix.lower()
        if extension in _readable():
            sounds.append(file)
        else:
            others[extension or "without an extension"] += 1
    return sorted(sounds), others


def _files(folder: Path, inner: str, depth: int = 0) -> Iterator[str]:
    if depth > DEEPEST:
        raise UserError(
            f"{folder / inner}: more than {DEEPEST} levels of folders; is one a link to itself?"
        )
    for entry in entries(folder / inner):
        file = f"{inner}/{entry.name}"
        if entry.is_dir():
            yield from _files(folder, file, depth + 1)
        else:
            yield file


def _listed(extensions: Counter[str]) -> str:
    most = [f"{count} {ending}" for ending, count in extensions.most_common(5)]
    return ", ".join(most) or "nothing"


@cache
def _readable() -> frozenset[str]:
    """Extensions of what libsndfile decodes. RAW has no header, so it cannot."""
    names = {*soundfile.available_formats()} - {"RAW"}
    same = {"aif", "aifc", "snd", "oga", "opus", "sph"}
    return frozenset(f".{name.lower()}" for name in (*names, *same))

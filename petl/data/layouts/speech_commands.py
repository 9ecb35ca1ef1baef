"""Google Speech Commands v2 as published: a folder per word, and lists of what does not train.

A file is <speaker>_nohash_<take>.wav; the lists keep each speaker in one part.
"""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus, first_few
from petl.data.layouts.reading import check_classes, check_splits, folders, holds, listed
from petl.errors import UserError, nearest, reason

LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
WORDS = 35
"""In the whole corpus. The lists of a part of it may name words that the part lacks."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    words = [word for word in folders(folder) if word != "_background_noise_"]
    check_classes(folder, words, dataset)
    check_splits(folder, 1, dataset)
    parts = _parts(folder, words)
    clips = []
    for label, word in enumerate(words):
        for name in listed(folder / word):
            if name.endswith(".wav"):
                file = f"{word}/{name}"
                part = parts.pop(file, "train")
                speaker = name.partition("_")[0]
                clips.append(Clip(file, folder / file, label, part=part, speaker=speaker))
    if parts:
        raise UserError(f"{folder}: {len(parts)} clips are missing: {first_few(list(parts))}")
    return Corpus(folder, tuple(clips), tuple(words))


def _parts(folder: Path, words: list[str]) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part, name in LISTS.items():
        for number, line in enumerate(_lines(folder / name), start=1):
            file, where = line.strip(), f"{folder / name}, line {number}"
            word, slash, _ = file.partition("/")
            if file and not slash:
                raise UserError(f"{where}: {file!r} is not <word>/<file>")
            if word and word not in words and len(words) == WORDS:
                raise UserError(f"{where}: no folder {word!r}{nearest(word, words)}")
            if parts.get(file, part) != part:
                raise UserError(f"{where}: {file} is in {LISTS[parts[file]]} too")
            if word in words:
                parts[file] = part
    return parts


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UserError(f"{path}: No such file; {holds(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {reason(error)}") from None

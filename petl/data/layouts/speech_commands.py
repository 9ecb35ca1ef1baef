"""Google Speech Commands v2 as published: a folder per word, and lists of validation and test.

A file is <speaker>_nohash_<take>.wav; the lists keep all clips of a speaker in one part.
"""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus, first_few
from petl.data.layouts.reading import checked, folders, listed, opened
from petl.errors import UserError, nearest, several

LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
WORDS = 35
"""In the whole corpus. A part of it may have lists with more words than folders."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    words = [word for word in folders(folder) if word != "_background_noise_"]
    parts = _parts(folder, words)
    clips = []
    for label, word in enumerate(words):
        for name in listed(folder / word):
            if name.endswith(".wav"):
                file, speaker = f"{word}/{name}", name.partition("_")[0]
                part = parts.pop(file, "train")
                clips.append(Clip(file, folder / file, label, part=part, group=speaker))
    if parts:
        raise UserError(
            f"{folder}: {several(len(parts), 'clip')} missing: {first_few(list(parts))}"
        )
    return checked(folder, clips, words, dataset)


def _parts(folder: Path, words: list[str]) -> dict[str, str]:
    """Of the files that do not train."""
    parts: dict[str, str] = {}
    for part, name in LISTS.items():
        with opened(folder / name) as lines:
            for number, line in enumerate(lines, start=1):
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

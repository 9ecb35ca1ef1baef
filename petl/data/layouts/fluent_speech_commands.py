"""Fluent Speech Commands as published: wavs/speakers/<speaker>/<take>.wav, a table for each part.

An intent is an action, an object and a location: 31 of them occur.
"""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import check_classes, check_files, check_splits, inside, rows
from petl.errors import UserError

TABLES = {"train": "train_data.csv", "validation": "valid_data.csv", "test": "test_data.csv"}
SLOTS = ("action", "object", "location")
COLUMNS = ("path", "speakerId", *SLOTS)
"""Those used, of an index without a name,path,speakerId,transcription,action,object,location."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    found = []
    for part, name in TABLES.items():
        for where, row in rows(folder / "data" / name, COLUMNS):
            if empty := [slot for slot in SLOTS if not row[slot]]:
                raise UserError(f"{where}: no {', '.join(empty)}")
            intent = tuple(row[slot] for slot in SLOTS)
            found.append((inside(row["path"], "path", where), intent, part, row["speakerId"]))
    intents = sorted({intent for _, intent, _, _ in found})
    classes = tuple(" / ".join(intent) for intent in intents)
    check_classes(folder / "data", classes, dataset)
    check_splits(folder, 1, dataset)
    label = {intent: rank for rank, intent in enumerate(intents)}
    clips = tuple(
        Clip(file, folder / file, label[intent], part=part, speaker=speaker)
        for file, intent, part, speaker in found
    )
    check_files(folder, clips)
    return Corpus(folder, clips, classes)

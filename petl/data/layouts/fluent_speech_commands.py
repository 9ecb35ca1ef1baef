"""Fluent Speech Commands as published: wavs/speakers/<speaker>/<take>.wav, a table for each part.

A class is an intent: one of the 31 combinations of action, object and location.
"""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import checked, inside, rows
from petl.errors import UserError

TABLES = {"train": "train_data.csv", "validation": "valid_data.csv", "test": "test_data.csv"}
SLOTS = ("action", "object", "location")
COLUMNS = ("path", "speakerId", *SLOTS)
"""Those used, of an index without a name,path,speakerId,transcription,action,object,location."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    utterances = []
    for part, name in TABLES.items():
        for where, row in rows(folder / "data" / name, COLUMNS):
            if empty := [slot for slot in SLOTS if not row[slot]]:
                raise UserError(f"{where}: no {', '.join(empty)}")
            intent = tuple(row[slot] for slot in SLOTS)
            utterances.append((inside(row["path"], "path", where), intent, part, row["speakerId"]))
    intents = sorted({intent for _, intent, _, _ in utterances})
    label = {intent: rank for rank, intent in enumerate(intents)}
    clips = [
        Clip(file, folder / file, label[intent], part=part, group=speaker)
        for file, intent, part, speaker in utterances
    ]
    classes = [" / ".join(intent) for intent in intents]
    return checked(folder, clips, classes, dataset, folder / "data")

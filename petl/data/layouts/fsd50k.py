"""FSD50K as published: FSD50K.ground_truth/, FSD50K.dev_audio/ and FSD50K.eval_audio/.

dev.csv says which clips train and which validate; eval.csv lists those that test.
"""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import PARTS, checked, known, rows
from petl.errors import UserError, nearest

VOCABULARY = ("index", "label", "mid")
TABLES = {"dev": ("fname", "labels", "split"), "eval": ("fname", "labels")}
"""The columns used; both have a column mids too, the same labels as identifiers of AudioSet."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of the rows; labels have the numbers of vocabulary.csv, which has no header."""
    tables = folder / "FSD50K.ground_truth"
    vocabulary = tables / "vocabulary.csv"
    classes = [row["label"] for _, row in rows(vocabulary, VOCABULARY, bare=True)]
    label = {name: rank for rank, name in enumerate(classes)}
    clips = []
    for name, columns in TABLES.items():
        for where, row in rows(tables / f"{name}.csv", columns):
            number = row["fname"]
            if not number or Path(number).name != number:
                raise UserError(f"{where}: fname is {number!r}, not the name of a file")
            part = PARTS.get(row.get("split", "test"))
            if part is None:
                given = row["split"]
                raise UserError(f"{where}: split {given!r} is not a part{nearest(given, PARTS)}")
            file = f"FSD50K.{name}_audio/{number}.wav"
            labels = known(row["labels"], ",", label, where)
            clips.append(Clip(file, folder / file, part=part, labels=labels))
    return checked(folder, clips, classes, dataset, vocabulary, several=True)

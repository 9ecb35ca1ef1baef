"""UrbanSound8K as published: audio/fold1..fold10/, described by metadata/UrbanSound8K.csv."""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Corpus
from petl.data.layouts.reading import numbered

COLUMNS = ("slice_file_name", "fold", "classID", "class")
"""Those used, of slice_file_name,fsID,start,end,salience,fold,classID,class; fsID is the group."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    table = folder / "metadata" / "UrbanSound8K.csv"
    return numbered(
        folder, dataset, table, COLUMNS, "fsID", lambda file, fold: f"audio/fold{fold}/{file}"
    )

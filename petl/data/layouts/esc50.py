"""ESC-50 as published: audio/<fold>-<source>-<take>-<target>.wav, described by meta/esc50.csv.

Parts of it, such as ESC-10, and other corpora in the same layout read the same way.
"""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Corpus
from petl.data.layouts.reading import numbered

COLUMNS = ("filename", "fold", "target", "category")
"""Those used, of filename,fold,target,category,esc10,src_file,take; src_file may be missing."""


def read(folder: Path, dataset: Dataset) -> Corpus:
    table = folder / "meta" / "esc50.csv"
    return numbered(folder, dataset, table, COLUMNS, "src_file", lambda file, fold: f"audio/{file}")

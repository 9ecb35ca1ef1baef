"""Sounds without labels: every sound file in the corpus's folder and its subfolders.

Links to folders are followed, so a folder of links makes one corpus of several.
"""

from __future__ import annotations

from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.folders import sounds_in
from petl.data.layouts.reading import checked, holds
from petl.errors import UserError


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of the paths. Other files are passed over."""
    files, _ = sounds_in(folder, ".")
    if not files:
        raise UserError(f"{folder}: no sound file in it; {holds(folder / 'any')}")
    clips = [Clip(file[2:], folder / file[2:]) for file in files]
    return checked(folder, clips, (), dataset)

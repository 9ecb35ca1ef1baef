"""AudioSet's published tables, and the sounds in a folder for each: it publishes no sounds itself.

The sounds of eval_segments.csv are in eval_segments/ or in folders of it, named after their video:
<YTID>.wav, Y<YTID>.wav or <YTID>_<start>_<end>.wav, in any format that libsndfile reads. Many
videos have gone, so segments without a file are left out with a warning.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path, PurePath

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.folders import sounds_in
from petl.data.layouts.reading import checked, known, rows
from petl.errors import UserError

CLASSES = ("index", "mid", "display_name")
SEGMENTS = ("YTID", "start_seconds", "end_seconds", "positive_labels")
TABLES = {"balanced_train": "train", "unbalanced_train": "train", "eval": "test"}
"""A training table that is not in the folder is not used."""
VIDEO = re.compile(r"Y?([\w-]{11})(_[\d.]+){0,2}", re.ASCII)

log = logging.getLogger(__name__)


def read(folder: Path, dataset: Dataset) -> Corpus:
    """In the order of the tables; labels have the numbers of class_labels_indices.csv."""
    vocabulary = folder / "class_labels_indices.csv"
    names = {row["mid"]: row["display_name"] for _, row in rows(vocabulary, CLASSES)}
    label = {mid: rank for rank, mid in enumerate(names)}
    clips: list[Clip] = []
    for name, part in TABLES.items():
        if part == "test" or (folder / f"{name}_segments.csv").exists():
            clips += _segments(folder, f"{name}_segments", part, label)
    if not any(clip.part == "train" for clip in clips):
        raise UserError(f"{folder}: no balanced_train_segments.csv to train on")
    return checked(folder, clips, list(names.values()), dataset, vocabulary, several=True)


def _segments(folder: Path, name: str, part: str, label: dict[str, int]) -> list[Clip]:
    sounds, _ = sounds_in(folder, name)
    by_video = {
        found[1]: file
        for file in reversed(sounds)
        if (found := VIDEO.fullmatch(PurePath(file).stem))
    }
    table = folder / f"{name}.csv"
    clips, missing = [], 0
    for where, row in rows(table, SEGMENTS, bare=True):
        labels = known(row["positive_labels"], ",", label, where)
        if file := by_video.get(row["YTID"]):
            clips.append(Clip(file, folder / file, part=part, labels=labels))
        else:
            missing += 1
    if not clips:
        raise UserError(f"{table}: none of its {missing:,} segments has a sound in {folder / name}")
    if missing:
        log.warning(
            "%s: %s of %s segments have no sound in %s and are left out",
            *(table, f"{missing:,}", f"{missing + len(clips):,}", folder / name),
        )
    return clips

"""IEMOCAP as published: Session1..5, each with sentences/wav and dialog/EmoEvaluation.

The usual four emotions: excitement counts as happiness, all others are left out. In each session a
woman and a man speak; the end of a sentence's name, F012 or M012, says who.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import checked, holds, listed
from petl.errors import UserError, nearest

CLASSES = ("neutral", "happy", "sad", "angry")
LABELS = {"neu": 0, "hap": 1, "exc": 1, "sad": 2, "ang": 3}
LEFT_OUT = ("fru", "sur", "fea", "dis", "oth", "xxx")
SESSIONS = 5
LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<name>\w+_[FM]\w+)\t(?P<emotion>\w+)\t")


def read(folder: Path, dataset: Dataset) -> Corpus:
    clips = []
    for session in range(1, SESSIONS + 1):
        for name, label in sorted(_rated(folder / f"Session{session}")):
            dialog, _, turn = name.rpartition("_")
            file = f"Session{session}/sentences/wav/{dialog}/{name}.wav"
            speaker = f"{session}{turn[0]}"
            clips.append(Clip(file, folder / file, label, fold=session, group=speaker))
    return checked(folder, clips, CLASSES, dataset, splits=2 * SESSIONS)


def _rated(session: Path) -> Iterator[tuple[str, int]]:
    folder = session / "dialog" / "EmoEvaluation"
    tables = [name for name in listed(folder) if name.endswith(".txt")]
    if not tables:
        raise UserError(f"{folder}: no Ses*.txt; {holds(folder / 'Ses*.txt')}")
    for table in tables:
        # The raters' comments in between have no particular encoding.
        lines = (folder / table).read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines, start=1):
            if not line.startswith("["):
                continue
            where = f"{folder / table}, line {number}"
            match = LINE.match(line)
            if not match:
                raise UserError(f"{where}: {line!r} is not [start - end], sentence, emotion")
            emotion = match["emotion"]
            if emotion in LABELS:
                yield match["name"], LABELS[emotion]
            elif emotion not in LEFT_OUT:
                near = nearest(emotion, (*LABELS, *LEFT_OUT))
                raise UserError(f"{where}: unknown emotion {emotion!r}{near}")

"""IEMOCAP as published: Session1..5, each with sentences/wav and dialog/EmoEvaluation.

Four emotions as is usual: excitement counts as happiness, all others are left out. In a session a
woman and a man speak; a sentence's last letter group, F012 or M012, says who.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts.reading import check_classes, check_files, check_splits, holds, listed
from petl.errors import UserError, nearest

CLASSES = ("neutral", "happy", "sad", "angry")
LABELS = {"neu": 0, "hap": 1, "exc": 1, "sad": 2, "ang": 3}
LEFT_OUT = ("fru", "sur", "fea", "dis", "oth", "xxx")
SESSIONS = 5
LINE = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<name>\w+_[FM]\w+)\t(?P<emotion>\w+)\t")


def read(folder: Path, dataset: Dataset) -> Corpus:
    check_classes(folder, CLASSES, dataset)
    check_splits(folder, 2 * SESSIONS, dataset)
    clips = []
    for session in range(1, SESSIONS + 1):
        for name, label in sorted(_evaluated(folder / f"Session{session}")):
            dialog, _, turn = name.rpartition("_")
            file = f"Session{session}/sentences/wav/{dialog}/{name}.wav"
            speaker = f"{session}{turn[0]}"
            clips.append(Clip(file, folder / file, label, fold=session, speaker=speaker))
    check_files(folder, clips)
    return Corpus(folder, tuple(clips), CLASSES)


def _evaluated(session: Path) -> Iterator[tuple[str, int]]:
    folder = session / "dialog" / "EmoEvaluation"
    tables = [name for name in listed(folder) if name.endswith(".txt")]
    if not tables:
        raise UserError(f"{folder}: no Ses*.txt; {holds(folder / 'Ses*.txt')}")
    for table in tables:
        # The raters' remarks between the lines that count are in no particular encoding.
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
                raise UserError(f"{where}: no emotion is called {emotion!r}{near}")

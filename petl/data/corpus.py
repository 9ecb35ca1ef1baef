"""A dataset as all layouts are read: clips in file order, labelled 0..n-1."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Clip:
    file: str
    """The path inside the corpus's folder, so that a corpus can be moved."""
    path: Path
    label: int = 0
    fold: int = 0
    """The published one, from 1; 0 if there are none."""
    part: str = ""
    """train, validation or test; empty if the dataset does not define it."""
    group: str = ""
    """The recording, speaker or song that it is part of; empty if the dataset does not say."""
    targets: tuple[float, ...] = ()
    """Of a regression."""
    labels: tuple[int, ...] = ()
    """Where a clip can have several, or none; `label` means nothing then."""
    start: float = 0.0
    seconds: float | None = None
    """A window of the file, from `start`; None for a clip that is the whole file."""

    @property
    def name(self) -> str:
        """The file, and for a window its first second: `songs/10.mp3@15`."""
        return self.file if self.seconds is None else f"{self.file}@{self.start:g}"


@dataclass(frozen=True)
class Corpus:
    folder: Path
    clips: tuple[Clip, ...]
    classes: tuple[str, ...]
    """By label; empty for a regression."""
    several: bool = False
    """A clip can have several labels."""

    @property
    def labels(self) -> np.ndarray:
        return np.array([clip.label for clip in self.clips], dtype=np.int64)

    @property
    def folds(self) -> np.ndarray:
        return np.array([clip.fold for clip in self.clips], dtype=np.int64)

    @property
    def songs(self) -> np.ndarray:
        """The number of each clip's file, in file order: the windows of a song share one."""
        numbers: dict[str, int] = {}
        each = [numbers.setdefault(clip.file, len(numbers)) for clip in self.clips]
        return np.array(each, dtype=np.int64)

    @property
    def targets(self) -> np.ndarray:
        """What a model predicts.

        Labels (clips,); of several labels 0 or 1 (clips, classes); a regression's numbers (clips,
        targets).
        """
        if self.several:
            found = np.zeros((len(self.clips), len(self.classes)), dtype=np.uint8)
            for row, clip in zip(found, self.clips, strict=True):
                row[list(clip.labels)] = 1
            return found
        if self.classes:
            return self.labels
        return np.array([clip.targets for clip in self.clips], dtype=np.float32)

    def labels_of(self, clip: Clip) -> tuple[int, ...]:
        """None for a regression."""
        return clip.labels if self.several else (clip.label,) * bool(self.classes)


def by_file(clips: Sequence[Clip]) -> list[slice]:
    """The windows of each file, which stand one behind the other."""
    counts = [len(list(of_file)) for _, of_file in groupby(clips, key=attrgetter("path"))]
    return [slice(end - count, end) for count, end in zip(counts, accumulate(counts), strict=True)]


def draw(*name: Any) -> bytes:
    """A sort key for a shuffled order. By name, so that a new clip does not move the others."""
    return hashlib.sha256("/".join(map(str, name)).encode()).digest()


def first_few(items: list[str], shown: int = 5) -> str:
    """The first items, and how many more there are."""
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest} more" if rest > 0 else "")

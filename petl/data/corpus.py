"""A dataset as all layouts are read: clips in file order, labelled 0..n-1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    speaker: str = ""
    targets: tuple[float, ...] = ()
    """Of a regression."""


@dataclass(frozen=True)
class Corpus:
    folder: Path
    clips: tuple[Clip, ...]
    classes: tuple[str, ...]
    """By label; empty for a regression."""

    @property
    def labels(self) -> np.ndarray:
        return np.array([clip.label for clip in self.clips], dtype=np.int64)

    @property
    def folds(self) -> np.ndarray:
        return np.array([clip.fold for clip in self.clips], dtype=np.int64)

    @property
    def targets(self) -> np.ndarray:
        """What a model predicts: labels (clips,), or a regression's numbers (clips, targets)."""
        if self.classes:
            return self.labels
        return np.array([clip.targets for clip in self.clips], dtype=np.float32)


def first_few(items: list[str], shown: int = 5) -> str:
    """The first items, and how many more there are."""
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest} more" if rest > 0 else "")

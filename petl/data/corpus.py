"""What a dataset becomes once its layout has been read: clips in file order, labelled 0..n-1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Clip:
    file: str
    """The path inside the corpus's folder: moving a corpus does not make it another one."""
    path: Path
    label: int
    fold: int
    """The official one, from 1."""


@dataclass(frozen=True)
class Corpus:
    folder: Path
    clips: tuple[Clip, ...]
    classes: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        return np.array([clip.label for clip in self.clips], dtype=np.int64)

    @property
    def folds(self) -> np.ndarray:
        return np.array([clip.fold for clip in self.clips], dtype=np.int64)


def first_few(items: list[str], shown: int = 5) -> str:
    """The first items, and how many more there are."""
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest} more" if rest > 0 else "")

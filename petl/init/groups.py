"""Speakers or recordings in the names of files: `3_jackson_12.wav` is one of several by jackson.

A random split puts clips of the same speaker into training and test, and the test is then easier
than new speakers are. Names are only hints: what is found is said, and the user decides.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from petl.data.corpus import Corpus
from petl.data.folds import grouped_folds

LEAST = 3
"""Groups, for a fold that trains, one that validates and one that tests."""
CLIPS = 4
"""The fewest clips of a group on average: fewer say little about a speaker."""


@dataclass(frozen=True)
class Groups:
    where: str
    """`part 2 of the names, as in 3_jackson_12`."""
    of_clip: tuple[str, ...]
    """The group of each clip, in the corpus's order."""

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.of_clip)


def find_groups(corpus: Corpus) -> Groups | None:
    """By the folders between a class and its files, or by one part of all names."""
    files = [PurePosixPath(clip.file) for clip in corpus.clips]
    between = tuple("/".join(file.parts[1:-1]) for file in files)
    if _are_groups(between, corpus):
        return Groups(f"the folders, as in {files[0]}", between)
    names = [re.split(r"[_\-. ]+", file.stem) for file in files]
    if len({len(parts) for parts in names}) != 1:
        return None
    for i, values in enumerate(zip(*names, strict=True)):
        if _are_groups(values, corpus):
            return Groups(f"part {i + 1} of the names, as in {files[0].name}", values)
    return None


def _are_groups(values: tuple[str, ...], corpus: Corpus) -> bool:
    different = set(values)
    if not LEAST <= len(different) <= len(values) / CLIPS or "" in different or _counts(different):
        return False
    labels = defaultdict(set)
    for value, clip in zip(values, corpus.clips, strict=True):
        labels[value].add(clip.label)
    # every class in at least as many groups as folds are needed: otherwise it names the class
    in_groups = Counter(label for found in labels.values() for label in found)
    return min(in_groups[label] for label in range(len(corpus.classes))) >= LEAST


def _counts(values: set[str]) -> bool:
    """Takes and other counters: whole numbers with few gaps."""
    if not all(value.isdecimal() for value in values):
        return False
    numbers = [int(value) for value in values]
    return max(numbers) - min(numbers) < 2 * len(numbers)


def folds(groups: Groups, corpus: Corpus, most: int = 5) -> int:
    """How many folds the groups allow; 0 if a class is in fewer than three of them: it would not
    train in each split.
    """
    clips = [replace(c, group=g) for c, g in zip(corpus.clips, groups.of_clip, strict=True)]
    number = min(most, len(groups.counts))
    fold_of = grouped_folds(replace(corpus, clips=tuple(clips)), range(len(clips)), number)
    has = defaultdict(set)
    for fold, clip in zip(fold_of, clips, strict=True):
        has[clip.label].add(fold)
    return number if min(map(len, has.values())) >= LEAST else 0

"""Folds with about the same share of each class, drawn by names.

Clips of one recording or speaker are alike, so a test on clips whose recording also trains is
easier than use on new ones. Folds that keep groups together, and random ones of the same sizes
beside them, show by how much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from petl.data.corpus import Corpus, draw, first_few
from petl.errors import UserError, several

EXACT = 10**18
"""Whole numbers are compared, so that no machine's rounding decides between two folds."""


def stratified(
    corpus: Corpus, clips: Sequence[int], shares: Sequence[float], *name: Any
) -> np.ndarray:
    """The part of each clip, so that every label has about its share of clips in every part.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011): the label with the fewest clips
    left goes first, each of its clips to the part that lacks the label most, then to the part that
    lacks most clips. The order is drawn by name, as in all splits.
    """
    drawn = sorted(clips, key=lambda i: draw(*name, corpus.clips[i].name))
    of: list[list[int]] = [[] for _ in corpus.classes]
    for i in drawn:
        for label in corpus.labels_of(corpus.clips[i]):
            of[label].append(i)
    left = np.array([len(found) for found in of])
    lack = np.outer([*left, len(drawn)], shares)
    part: dict[int, int] = {}
    while len(part) < len(drawn):
        rarest = int(np.where(left, left, len(drawn) + 1).argmin()) if left.any() else -1
        for i in of[rarest] if left.any() else drawn:
            if i not in part:
                labels = list(corpus.labels_of(corpus.clips[i]))
                best = max(range(len(shares)), key=lambda p: (lack[rarest, p], lack[-1, p]))
                part[i] = best
                lack[[*labels, -1], best] -= 1
                left[labels] -= 1
    return np.array([part[i] for i in clips])


def grouped_folds(corpus: Corpus, clips: Sequence[int], folds: int) -> np.ndarray:
    """The fold of each of these clips, from 1, so that each group is in one fold.

    Stratified as far as groups allow: the largest group goes first, equal ones in an order drawn by
    name, each into the fold that has the least of its labels and clips.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for rank, clip in enumerate(clips):
        members[corpus.clips[clip].group].append(rank)
    _enough(corpus, members, folds)
    has = np.zeros((len(clips), len(corpus.classes) + 1), dtype=object)
    has[:, -1] = 1
    for rank, clip in enumerate(clips):
        has[rank, list(corpus.labels_of(corpus.clips[clip]))] = 1
    weights = EXACT // np.maximum(has.sum(axis=0), 1) ** 2
    filled = np.zeros((folds, has.shape[1]), dtype=object)
    fold_of = np.zeros(len(clips), dtype=np.int64)
    for group in sorted(members, key=lambda name: (-len(members[name]), draw("grouped", name))):
        counts = has[members[group]].sum(axis=0)
        fold = int((filled @ (counts * weights)).argmin())
        filled[fold] += counts
        fold_of[members[group]] = fold + 1
    return fold_of


def random_folds(corpus: Corpus, folds: np.ndarray) -> np.ndarray:
    """The clips of each class change places at random: every fold keeps its number of each class.

    `folds` are those of all clips. Clips with the same several labels change places, or all clips
    of a regression.
    """
    same: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, clip in enumerate(corpus.clips):
        same[corpus.labels_of(clip)].append(index)
    drawn = np.zeros_like(folds)
    for clips in same.values():
        order = sorted(clips, key=lambda index: draw("random", corpus.clips[index].name))
        drawn[order] = np.sort(folds[clips])
    return drawn


def check_apart(corpus: Corpus, parts: dict[str, np.ndarray], of: Literal["group", "file"]) -> None:
    """Refuse a split with clips of one group, or windows of one file, in two parts.

    Two parts may have the same clips.
    """
    seen: dict[str, tuple[str, int]] = {}
    different = {clips.tobytes(): (part, clips) for part, clips in parts.items()}
    for part, clips in different.values():
        for index in clips:
            name = getattr(corpus.clips[index], of)
            other, first = seen.setdefault(name, (part, index))
            if name and other != part:
                advice = "; use 'split: grouped', or correct the groups" if of == "group" else ""
                raise UserError(
                    f"{corpus.folder}: {of} {name!r} is in {other} ({corpus.clips[first].name}) "
                    f"and in {part} ({corpus.clips[index].name}), "
                    f"which makes the test too easy{advice}"
                )


def _enough(corpus: Corpus, members: dict[str, list[int]], folds: int) -> None:
    if "" in members:
        raise UserError(
            f"{corpus.folder}: {several(len(members['']), 'clip')} without a group; "
            "'split: grouped' and 'split: random' need one for each clip"
        )
    if len(members) < folds:
        raise UserError(
            f"{corpus.folder}: {several(len(members), 'group')} for {folds} folds "
            f"({first_few(sorted(members))}); set dataset.folds to at most {len(members)}"
        )

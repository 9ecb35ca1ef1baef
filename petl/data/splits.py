"""Which clips train, validate and test. A fold counts from 0 in a task and from 1 in a corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from petl.config import Dataset, FewShot, Ratio
from petl.data.corpus import Corpus
from petl.errors import UserError

NAMES = ("train", "validation", "test")
WATCH_THE_TEST = {("esc50", "ast-recipe"), ("urbansound8k", "paper")}
"""Where all other folds train, and the best epoch by validation is chosen on the test clips."""


@dataclass(frozen=True)
class Split:
    """Indices into the corpus's clips, in file order."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(corpus: Corpus, dataset: Dataset, fold: int, seed: int) -> Split:
    """The seed draws the clips of few-shot training and nothing else."""
    parts = _whole(corpus, dataset, fold)
    _check(corpus, parts)
    if dataset.few_shot:
        return replace(parts, train=_few(corpus, parts.train, dataset.few_shot, fold, seed))
    return parts


def _whole(corpus: Corpus, dataset: Dataset, fold: int) -> Split:
    if dataset.ratio:
        return _by_ratio(corpus, dataset.ratio, fold)
    if dataset.layout == "iemocap":
        return _by_speaker(corpus, fold)
    if corpus.clips[0].part:
        return _as_given(corpus)
    return _by_fold(corpus, dataset, fold)


# --- the ways to split ---------------------------------------------------------------------------


def _by_fold(corpus: Corpus, dataset: Dataset, fold: int) -> Split:
    """The paper's order: of five folds, split 0 tests the fifth, the next ones 1, 2, 3, 4.

    A table's split 0 tests fold 1. Each validates on the fold before the one it tests.
    """
    last = 0 if dataset.layout == "table" else 1
    test = (fold - last) % dataset.folds + 1
    if (dataset.layout, dataset.split) in WATCH_THE_TEST:
        validation, least = test, 2
    else:
        validation, least = (fold - last - 1) % dataset.folds + 1, 3
    if dataset.folds < least:
        raise UserError(
            f"dataset.split '{dataset.split}' needs {least} folds; "
            f"{dataset.corpus} has {dataset.folds}"
        )
    folds = corpus.folds
    return Split(
        np.flatnonzero((folds != test) & (folds != validation)),
        np.flatnonzero(folds == validation),
        np.flatnonzero(folds == test),
    )


def _by_speaker(corpus: Corpus, fold: int) -> Split:
    """IEMOCAP: splits 0 and 1 leave session 5 out, 2 and 3 session 1, and so on.

    The even ones validate on its woman and test on its man, the odd ones the other way round.
    """
    session = (fold // 2 - 1) % 5 + 1
    validates, tests = ("F", "M") if fold % 2 == 0 else ("M", "F")
    speakers = np.array([clip.speaker for clip in corpus.clips])
    return Split(
        np.flatnonzero(corpus.folds != session),
        np.flatnonzero(speakers == f"{session}{validates}"),
        np.flatnonzero(speakers == f"{session}{tests}"),
    )


def _as_given(corpus: Corpus) -> Split:
    """Where nobody set clips aside for a test, those that validate also test."""
    parts = np.array([clip.part for clip in corpus.clips])
    tests = "test" if "test" in parts else "validation"
    return Split(*(np.flatnonzero(parts == part) for part in (*NAMES[:2], tests)))


def _by_ratio(corpus: Corpus, ratio: Ratio, fold: int) -> Split:
    """Class by class; shares are rounded so that the sums are right where classes are small.

    The order of clips is a hash's, and the same whatever the machine and library.
    """
    of_class = _by_class(corpus, range(len(corpus.clips)))
    validation: list[int] = []
    test: list[int] = []
    seen = 0
    for label in sorted(of_class, key=lambda label: _draw("class", fold, label)):
        clips = sorted(of_class[label], key=lambda i: _draw("ratio", fold, corpus.clips[i].file))
        shares = (ratio.validation, ratio.test)
        to_validate, to_test = (
            round(share * (seen + len(clips))) - round(share * seen) for share in shares
        )
        while to_validate + to_test >= len(clips):  # one clip at least is left to train on
            to_validate, to_test = (
                (to_validate, to_test - 1) if to_test else (to_validate - 1, to_test)
            )
        validation += clips[:to_validate]
        test += clips[to_validate : to_validate + to_test]
        seen += len(clips)
    aside = np.array(sorted(validation), dtype=np.int64)
    tested = np.array(sorted(test), dtype=np.int64)
    train = np.setdiff1d(np.arange(len(corpus.clips)), np.concatenate([aside, tested]))
    return Split(train, aside, tested if ratio.test else aside)


def _few(corpus: Corpus, train: np.ndarray, few: FewShot, fold: int, seed: int) -> np.ndarray:
    chosen: list[int] = []
    for label, clips in _by_class(corpus, train.tolist()).items():
        if len(clips) < few.per_class:
            raise UserError(
                f"dataset.few_shot.per_class is {few.per_class}; split {fold} of {corpus.folder} "
                f"has {len(clips)} training clips of class '{corpus.classes[label]}'"
            )
        if few.draw == "seeded":
            clips = sorted(clips, key=lambda i: _draw("few-shot", seed, fold, corpus.clips[i].file))
        chosen += clips[: few.per_class]
    return np.array(sorted(chosen), dtype=np.int64)


# --- pieces --------------------------------------------------------------------------------------


def _by_class(corpus: Corpus, indices: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for index in indices:
        found.setdefault(corpus.clips[index].label, []).append(index)
    return found


def _draw(*name: Any) -> bytes:
    """A place in a shuffled order, by name: a clip that joins later moves no other."""
    return hashlib.sha256("/".join(map(str, name)).encode()).digest()


def _check(corpus: Corpus, parts: Split) -> None:
    for name in NAMES:
        if not len(getattr(parts, name)):
            raise UserError(f"{corpus.folder}: no clip is left for {name}")
    trained = {corpus.clips[index].label for index in parts.train}
    for name in ("validation", "test"):
        for clip in (corpus.clips[index] for index in getattr(parts, name)):
            if clip.label not in trained:
                raise UserError(
                    f"{corpus.folder}: class '{corpus.classes[clip.label]}' is in {name} "
                    f"({clip.file}), but no clip of it trains"
                )

"""Which clips train, validate and test. A fold counts from 0 in a task and from 1 in a corpus."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from petl.config import Dataset, FewShot, Ratio
from petl.config.dataset import DRAWN, OF_RECORDINGS
from petl.config.kinds import NO_LABELS
from petl.data.corpus import Corpus, draw, first_few
from petl.data.folds import check_apart, grouped_folds, random_folds, stratified
from petl.errors import UserError

NAMES = ("train", "validation", "test")
VALIDATED_ON_TEST = {("esc50", "ast-recipe"), ("urbansound8k", "paper")}
"""Here all other folds train, and the best epoch is chosen on the test clips."""

WITHOUT_VALIDATION = Ratio(validation=0.1, test=0.0)
"""A dataset with parts for training and test alone: a tenth of the former validates."""

MIXED = ("random", "k-fold", "ratio")
"""Here the clips of a group may train and test; nowhere else."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Indices into the corpus's clips, in file order."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def where(cls, *masks: np.ndarray) -> Split:
        """From a mask over the clips for each."""
        return cls(*(np.flatnonzero(mask) for mask in masks))


def split(corpus: Corpus, dataset: Dataset, fold: int, seed: int) -> Split:
    """The seed draws the clips of few-shot training and nothing else.

    Of recordings cut into windows, the recordings are split, and a window goes where its recording
    goes: `windows-at-random` alone breaks this rule, to show what it costs.
    """
    if dataset.split == "windows-at-random":
        whole = _k_fold(corpus, dataset, fold)
        _check(corpus, whole)
        return whole
    if not dataset.windows:
        return _split(corpus, dataset, fold, seed)
    _, first = np.unique(corpus.songs, return_index=True)
    files = [replace(corpus.clips[index], start=0.0, seconds=None) for index in first]
    recordings = _split(replace(corpus, clips=tuple(files)), dataset, fold, seed)
    whole = Split.where(*(np.isin(corpus.songs, getattr(recordings, name)) for name in NAMES))
    check_apart(corpus, vars(whole), "file")
    return whole


def _split(corpus: Corpus, dataset: Dataset, fold: int, seed: int) -> Split:
    if dataset.ratio:
        shared = _stratified_ratio if corpus.several else _by_ratio
        whole = shared(corpus, dataset.ratio, fold)
    elif dataset.split == "k-fold":
        whole = _k_fold(corpus, dataset, fold)
    elif dataset.split in DRAWN:
        folds = grouped_folds(corpus, range(len(corpus.clips)), dataset.folds)
        apart = dataset.split == "grouped"
        whole = _by_fold(folds if apart else random_folds(corpus, folds), dataset, fold)
    elif dataset.layout == "audioset":
        whole = _audioset(corpus, held_out=dataset.split == "held-out")
    elif dataset.layout == "iemocap":
        whole = _by_speaker(corpus, fold)
    elif corpus.clips[0].part:
        parts = [clip.part for clip in corpus.clips]
        if "validation" not in parts:
            _hold_out(corpus, parts, fold)
        whole = _by_part(parts, has_test="test" in parts)
    else:
        whole = _by_fold(corpus.folds, dataset, fold)
    _check(corpus, whole)
    if dataset.split not in MIXED:
        check_apart(corpus, vars(whole), "group")
    if dataset.every > 1:
        whole = Split(*(_every(corpus, getattr(whole, name), dataset.every) for name in NAMES))
    if dataset.few_shot:
        return replace(whole, train=_few(corpus, whole.train, dataset.few_shot, fold, seed))
    return _held_out(corpus, whole, dataset, fold) if dataset.kind is NO_LABELS else whole


# --- the ways to split ---------------------------------------------------------------------------


def _k_fold(corpus: Corpus, dataset: Dataset, fold: int) -> Split:
    shares = [1 / dataset.folds] * dataset.folds
    drawn = 1 + stratified(corpus, range(len(corpus.clips)), shares, "k-fold")
    return _by_fold(drawn, dataset, fold)


def _held_out(corpus: Corpus, whole: Split, dataset: Dataset, fold: int) -> Split:
    """For pre-training: the clips that would test a labelled run are not even looked at.

    The clips that validate are held out, or a tenth of the training clips where those also test.
    """
    untested = dataset.ratio is not None and not dataset.ratio.test
    if untested or not np.intersect1d(whole.validation, whole.test).size:
        return replace(whole, test=whole.validation)
    trains = np.isin(np.arange(len(corpus.clips)), whole.train)
    parts = ["train" if train else "" for train in trains]
    _draw_parts(corpus, parts, WITHOUT_VALIDATION, fold)
    return _by_part(parts, has_test=False)


def _by_fold(folds: np.ndarray, dataset: Dataset, fold: int) -> Split:
    """From the fold of each clip, counted from 1.

    Split 0 of own and of drawn folds tests fold 1; of others the last fold, then 1, 2, ... as
    published. Each validates on the fold before the one it tests.
    """
    first = 0 if dataset.layout in OF_RECORDINGS or dataset.split in DRAWN else -1
    test = (first + fold) % dataset.folds + 1
    if (dataset.layout, dataset.split) in VALIDATED_ON_TEST:
        validation, least = test, 2
    else:
        validation, least = (first + fold - 1) % dataset.folds + 1, 3
    if dataset.folds < least:
        raise UserError(
            f"dataset.split '{dataset.split}' needs {least} folds; "
            f"{dataset.corpus} has {dataset.folds}"
        )
    validates, tests = folds == validation, folds == test
    return Split.where(~(validates | tests), validates, tests)


def _by_speaker(corpus: Corpus, fold: int) -> Split:
    """IEMOCAP: splits 0 and 1 leave session 5 out, 2 and 3 session 1, and so on.

    Even ones validate on the woman of that session and test on the man, odd ones the reverse.
    """
    session = (fold // 2 - 1) % 5 + 1
    validates, tests = ("F", "M") if fold % 2 == 0 else ("M", "F")
    speakers = np.array([clip.group for clip in corpus.clips])
    return Split.where(
        corpus.folds != session,
        speakers == f"{session}{validates}",
        speakers == f"{session}{tests}",
    )


def _by_part(parts: list[str], has_test: bool) -> Split:
    """Without test clips, those that validate also test."""
    names = (*NAMES[:2], "test" if has_test else "validation")
    return Split.where(*(np.array(parts) == name for name in names))


def _hold_out(corpus: Corpus, parts: list[str], fold: int) -> None:
    """Let a tenth of the clips that train validate, in whole groups where there are groups."""
    trains = [index for index, part in enumerate(parts) if part == "train"]
    groups = {corpus.clips[index].group for index in trains}
    if not any(groups):
        _draw_parts(corpus, parts, WITHOUT_VALIDATION, fold)
        return
    tenths = grouped_folds(corpus, trains, max(2, min(10, len(groups))))
    for index in np.array(trains)[tenths == 1]:
        parts[index] = "validation"


def _by_ratio(corpus: Corpus, ratio: Ratio, fold: int) -> Split:
    """Class by class, in an order drawn by hashes: the same on all machines and in all versions.

    Small classes cannot have the exact share, so the shares' running sums over the classes are
    rounded: of n clips seen, round(share * n) validate.
    """
    parts = ["train"] * len(corpus.clips)
    _draw_parts(corpus, parts, ratio, fold)
    return _by_part(parts, has_test=bool(ratio.test))


def _draw_parts(corpus: Corpus, parts: list[str], ratio: Ratio, fold: int) -> None:
    """Of the clips that train, let some validate or test."""
    of_class = _by_class(corpus, [i for i, part in enumerate(parts) if part == "train"])
    seen = 0
    for label in sorted(of_class, key=lambda label: draw("class", fold, label)):
        clips = sorted(of_class[label], key=lambda i: draw("ratio", fold, corpus.clips[i].name))
        validate, test = (
            round(share * (seen + len(clips))) - round(share * seen)
            for share in (ratio.validation, ratio.test)
        )
        while validate + test >= len(clips):  # at least one clip trains
            validate, test = (validate, test - 1) if test else (validate - 1, test)
        for rank, clip in enumerate(clips[: validate + test]):
            parts[clip] = "validation" if rank < validate else "test"
        seen += len(clips)


def _stratified_ratio(corpus: Corpus, ratio: Ratio, fold: int) -> Split:
    """The same for clips with several labels."""
    shares = [1 - ratio.validation - ratio.test, ratio.validation, ratio.test]
    drawn = stratified(corpus, range(len(corpus.clips)), shares, "ratio", fold)
    return _by_part([NAMES[part] for part in drawn], has_test=bool(ratio.test))


def _audioset(corpus: Corpus, held_out: bool) -> Split:
    """It has no clips for validation: hold out a tenth, or watch the test clips as the AST did."""
    tests = np.array([clip.part == "test" for clip in corpus.clips])
    train, test = np.flatnonzero(~tests), np.flatnonzero(tests)
    if not held_out:
        return Split(train, test, test)
    drawn = stratified(corpus, train.tolist(), [0.9, 0.1], "held-out")
    return Split(train[drawn == 0], train[drawn == 1], test)


def _every(corpus: Corpus, part: np.ndarray, step: int) -> np.ndarray:
    """Every so many-th clip; of a class that these leave out, its first one too."""
    kept = part[::step].tolist()
    covered = {label for index in kept for label in corpus.labels_of(corpus.clips[index])}
    for index in part.tolist():
        labels = corpus.labels_of(corpus.clips[index])
        if not covered.issuperset(labels):
            kept.append(index)
            covered.update(labels)
    return np.array(sorted(kept), dtype=np.int64)


def _few(corpus: Corpus, train: np.ndarray, few: FewShot, fold: int, seed: int) -> np.ndarray:
    chosen: list[int] = []
    for label, clips in _by_class(corpus, train.tolist()).items():
        if len(clips) < few.per_class:
            raise UserError(
                f"dataset.few_shot.per_class is {few.per_class}; split {fold} of {corpus.folder} "
                f"has {len(clips)} training clips of class '{corpus.classes[label]}'"
            )
        if few.draw == "seeded":
            clips = sorted(clips, key=lambda i: draw("few-shot", seed, fold, corpus.clips[i].name))
        chosen += clips[: few.per_class]
    return np.array(sorted(chosen), dtype=np.int64)


# --- helpers -------------------------------------------------------------------------------------


def _by_class(corpus: Corpus, indices: Iterable[int]) -> dict[int, list[int]]:
    of_class: dict[int, list[int]] = {}
    for index in indices:
        of_class.setdefault(corpus.clips[index].label, []).append(index)
    return of_class


def _check(corpus: Corpus, whole: Split) -> None:
    for name in NAMES:
        if not len(getattr(whole, name)):
            raise UserError(f"{corpus.folder}: no clip is left for {name}")
    if corpus.several:
        _check_labels(corpus, whole)
        return
    trained = {corpus.clips[index].label for index in whole.train}
    for name in NAMES[1:]:
        for clip in (corpus.clips[index] for index in getattr(whole, name)):
            if clip.label not in trained:
                raise UserError(
                    f"{corpus.folder}: class '{corpus.classes[clip.label]}' is in {name} "
                    f"({clip.file}), but no clip of it trains"
                )


def _check_labels(corpus: Corpus, whole: Split) -> None:
    """A rare label may be in no clip of a part; a part in which nothing can be told is refused."""
    counts = {}
    for name in NAMES:
        clips = getattr(whole, name)
        found = [n for index in clips for n in corpus.clips[index].labels]
        counts[name] = np.bincount(np.array(found, np.int64), minlength=len(corpus.classes))
        if not ((counts[name] > 0) & (counts[name] < len(clips))).any():
            raise UserError(
                f"{corpus.folder}: no class is in some clips of {name} and not in the others"
            )
    for name in NAMES[1:]:
        if lacking := np.flatnonzero((counts[name] > 0) & (counts["train"] == 0)).tolist():
            classes = first_few([corpus.classes[n] for n in lacking])
            log.warning("%s: in %s, but no clip trains: %s", corpus.folder, name, classes)

"""Few-shot training: so many clips of each class, from the training part alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ways import WAYS

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.splits import split
from petl.errors import UserError


def few(dataset: Dataset, per_class: int, draw: str) -> Dataset:
    settings = dataset.model_dump() | {"few_shot": {"per_class": per_class, "draw": draw}}
    return Dataset.model_validate(settings)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("draw", ["first", "seeded"])
def test_few_shot_takes_as_many_of_each_class_from_the_training_part_only(corpora, way, draw):
    corpus, dataset = corpora[way]
    whole, parts = (split(corpus, one, 0, 3) for one in (dataset, few(dataset, 2, draw)))
    assert Counter(corpus.labels[parts.train].tolist()) == dict.fromkeys(range(dataset.classes), 2)
    assert set(parts.train) <= set(whole.train)
    np.testing.assert_array_equal(parts.validation, whole.validation)
    np.testing.assert_array_equal(parts.test, whole.test)


@pytest.mark.parametrize("way", WAYS)
def test_the_first_are_the_first_in_the_order_of_files(corpora, way):
    corpus, dataset = corpora[way]
    whole = split(corpus, dataset, 0, 0).train
    first = split(corpus, few(dataset, 2, "first"), 0, 0).train
    for label in range(dataset.classes):
        of_class = whole[corpus.labels[whole] == label]
        np.testing.assert_array_equal(first[corpus.labels[first] == label], of_class[:2])


def shots(corpus: Corpus, dataset: Dataset, fold: int, seed: int, draw: str) -> tuple[int, ...]:
    return tuple(split(corpus, few(dataset, 2, draw), fold, seed).train.tolist())


def test_seeded_shots_differ_by_seed_and_fold_and_repeat(corpora):
    corpus, dataset = corpora["speech-commands"]
    drawn = [shots(corpus, dataset, 0, seed, "seeded") for seed in range(5)]
    assert len(set(drawn)) == 5
    assert shots(corpus, dataset, 0, 3, "seeded") == drawn[3]
    assert len({shots(corpus, dataset, 0, seed, "first") for seed in range(5)}) == 1
    corpus, dataset = corpora["folders, ratio"]
    assert len({shots(corpus, dataset, fold, 0, "seeded") for fold in range(4)}) == 4


def test_every_training_clip_is_drawn_as_often(dataset):
    """2 of 10 in 1,000 draws: 200 each, with a standard deviation below 13."""
    table = Dataset.model_validate(
        dataset(layout="esc50", folds=3).model_dump()
        | {"few_shot": {"per_class": 2, "draw": "seeded"}}
    )
    labels = [0] * 30
    found = [Clip(f"{n}.wav", Path(f"{n}.wav"), 0, fold=n % 3 + 1) for n in range(len(labels))]
    corpus = Corpus(Path("made"), tuple(found), ("one", "two"))
    drawn = Counter(n for seed in range(1000) for n in split(corpus, table, 0, seed).train.tolist())
    assert len(drawn) == 10
    assert all(140 < count < 260 for count in drawn.values())


def test_too_few_of_a_class_names_it_and_how_many_there_are(corpora):
    corpus, dataset = corpora["folders, given"]
    with pytest.raises(UserError, match=r"per_class is 5; split 0 of .*tree has 4 .* class 'rare'"):
        split(corpus, few(dataset, 5, "first"), 0, 0)

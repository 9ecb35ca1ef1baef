"""`every`: a quick try on every so many-th clip of each part of the split."""

from __future__ import annotations

import numpy as np
import pytest
from ways import WAYS

from petl.config import Dataset
from petl.data.corpus import Corpus
from petl.data.splits import NAMES, split


def every(dataset: Dataset, step: int, **more: object) -> Dataset:
    return Dataset.model_validate(dataset.model_dump() | {"every": step} | more)


def labels(corpus: Corpus, part: np.ndarray) -> set[int]:
    return {label for index in part for label in corpus.labels_of(corpus.clips[index])}


@pytest.mark.parametrize("way", WAYS)
def test_each_part_keeps_every_third_clip_and_all_its_classes(corpora, way):
    corpus, dataset = corpora[way]
    whole, few = (split(corpus, one, 0, 0) for one in (dataset, every(dataset, 3)))
    for name in NAMES:
        before, after = getattr(whole, name), getattr(few, name)
        assert {*before[::3]} <= {*after} <= {*before}
        assert list(after) == sorted(after)
        assert labels(corpus, after) == labels(corpus, before)
        assert len(after) <= len(before[::3]) + len(corpus.classes)


def test_of_classes_that_are_left_out_the_first_clip_stays(corpora):
    corpus, dataset = corpora["folders, ratio"]
    whole, few = (split(corpus, one, 0, 0).train for one in (dataset, every(dataset, 10_000)))
    first = [whole[corpus.labels[whole] == label][0] for label in range(dataset.classes)]
    assert few.tolist() == sorted(first)


def test_few_shot_chooses_among_what_is_kept(corpora):
    corpus, dataset = corpora["folders, ratio"]
    shots = {"few_shot": {"per_class": 1, "draw": "seeded"}}
    kept = split(corpus, every(dataset, 2), 0, 0).train
    chosen = split(corpus, every(dataset, 2, **shots), 0, 0).train
    assert {*chosen} <= {*kept}
    assert len(chosen) == dataset.classes

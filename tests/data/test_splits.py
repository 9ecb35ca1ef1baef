from __future__ import annotations

import numpy as np
import pytest

from petl.data import esc50
from petl.data.splits import split
from petl.errors import UserError


@pytest.fixture
def corpus(tiny, dataset):
    return esc50.read(tiny, dataset())


def folds(corpus, indices: np.ndarray) -> list[int]:
    return sorted(set(corpus.folds[indices].tolist()))


@pytest.mark.parametrize("fold", range(5))
def test_the_papers_splits_are_disjoint_and_complete(corpus, dataset, fold):
    parts = split(corpus, dataset(), fold, 0)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together.tolist()) == list(range(10))


@pytest.mark.parametrize(
    ("fold", "train", "validation", "test"),
    [
        (0, [1, 2, 3], 4, 5),
        (1, [2, 3, 4], 5, 1),
        (2, [3, 4, 5], 1, 2),
        (3, [1, 4, 5], 2, 3),
        (4, [1, 2, 5], 3, 4),
    ],
)
def test_the_papers_order_of_folds(corpus, dataset, fold, train, validation, test):
    parts = split(corpus, dataset(), fold, 0)
    assert folds(corpus, parts.train) == train
    assert folds(corpus, parts.validation) == [validation]
    assert folds(corpus, parts.test) == [test]


@pytest.mark.parametrize("fold", range(5))
def test_the_ast_recipe_trains_on_all_but_the_test_fold(corpus, dataset, fold):
    parts = split(corpus, dataset(split="ast-recipe"), fold, 0)
    np.testing.assert_array_equal(parts.test, split(corpus, dataset(), fold, 0).test)
    np.testing.assert_array_equal(parts.validation, parts.test)
    assert sorted([*parts.train, *parts.test]) == list(range(10))


def test_too_few_folds_to_validate_on_are_refused(corpus, dataset):
    with pytest.raises(UserError, match="needs 3 folds; tiny has 2"):
        split(corpus, dataset(folds=2), 0, 0)

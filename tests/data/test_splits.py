"""Which clips train, validate and test, in every layout and fold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ways import WAYS

from petl.config import Dataset
from petl.data.corpus import Clip, Corpus
from petl.data.layouts import esc50
from petl.data.splits import Split, split
from petl.errors import UserError

PARTS = ("train", "validation", "test")

# --- every layout, every fold --------------------------------------------------------------------

WATCH_THE_TEST = {"esc50, recipe", "urbansound8k, as run"}
APART = {way for way in WAYS if not way.startswith(("folders", "table"))} - WATCH_THE_TEST
APART |= {"folders, grouped"}
CROSS_VALIDATIONS = {
    *(way for way in WAYS if way.startswith(("esc50", "urbansound8k"))),
    "iemocap",
    "table, folds",
    "folders, k-fold",
    "folders, grouped",
    "folders, random",
}


def clips(corpus: Corpus, indices: np.ndarray) -> list[Clip]:
    return [corpus.clips[index] for index in indices]


@pytest.mark.parametrize("way", WAYS)
def test_no_clip_is_in_two_parts_and_none_is_left_out(corpora, way):
    corpus, dataset = corpora[way]
    for fold in range(dataset.folds):
        parts = split(corpus, dataset, fold, 0)
        used = [parts.train, parts.test]
        if way in WATCH_THE_TEST:
            np.testing.assert_array_equal(parts.validation, parts.test)
        else:
            used.append(parts.validation)
        assert sorted(np.concatenate(used).tolist()) == list(range(len(corpus.clips)))
        for part in PARTS:
            indices = getattr(parts, part).tolist()
            assert indices == sorted(indices)
        assert set(corpus.labels[parts.train]) == set(range(dataset.classes))


@pytest.mark.parametrize("way", sorted(CROSS_VALIDATIONS))
def test_over_all_folds_every_clip_is_tested_once(corpora, way):
    corpus, dataset = corpora[way]
    tested = [split(corpus, dataset, fold, 0).test for fold in range(dataset.folds)]
    assert sorted(np.concatenate(tested).tolist()) == list(range(len(corpus.clips)))


@pytest.mark.parametrize("way", sorted(APART))
def test_no_recording_or_speaker_is_in_two_parts(corpora, way):
    corpus, dataset = corpora[way]
    for fold in range(dataset.folds):
        parts = split(corpus, dataset, fold, 0)
        speakers = [{c.group for c in clips(corpus, getattr(parts, p))} for p in PARTS]
        assert "" not in set.union(*speakers)
        assert sum(map(len, speakers)) == len(set.union(*speakers))


@pytest.mark.parametrize("way", WAYS)
def test_the_seed_changes_no_split(corpora, way):
    corpus, dataset = corpora[way]
    for one, other in zip(parts_of(corpus, dataset, 0), parts_of(corpus, dataset, 7), strict=True):
        np.testing.assert_array_equal(one, other)


def parts_of(corpus: Corpus, dataset: Dataset, seed: int) -> list[np.ndarray]:
    parts = split(corpus, dataset, dataset.folds - 1, seed)
    return [getattr(parts, part) for part in PARTS]


# --- cross-validations ---------------------------------------------------------------------------


@pytest.fixture
def corpus(tiny, dataset):
    return esc50.read(tiny, dataset())


def folds(corpus: Corpus, indices: np.ndarray) -> list[int]:
    return sorted(set(corpus.folds[indices].tolist()))


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


@pytest.mark.parametrize("fold", range(10))
def test_urbansound8k_tests_fold_10_first_then_1_to_9(corpora, fold):
    tested = [10, 1, 2, 3, 4, 5, 6, 7, 8, 9][fold]
    corpus, dataset = corpora["urbansound8k, as run"]
    as_run = split(corpus, dataset, fold, 0)
    assert folds(corpus, as_run.test) == folds(corpus, as_run.validation) == [tested]
    corpus, dataset = corpora["urbansound8k, as intended"]
    intended = split(corpus, dataset, fold, 0)
    assert folds(corpus, intended.test) == [tested]
    assert folds(corpus, intended.validation) == [(tested - 2) % 10 + 1]
    assert set(as_run.train) - set(intended.train) == set(intended.validation)


def test_too_few_folds_to_validate_on_are_refused(corpus, dataset):
    with pytest.raises(UserError, match="needs 3 folds; tiny has 2"):
        split(corpus, dataset(folds=2), 0, 0)


# --- by ratio ------------------------------------------------------------------------------------


def made(*counts: int) -> Corpus:
    """A corpus of so many clips in each class."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    found = [Clip(f"{n:03}.wav", Path(f"{n:03}.wav"), label) for n, label in enumerate(labels)]
    return Corpus(Path("made"), tuple(found), tuple(f"class {n}" for n in range(len(counts))))


@pytest.fixture
def by_ratio(dataset):
    def make(validation: float = 0.2, test: float = 0.2) -> Dataset:
        shares = {"validation": validation, "test": test}
        return dataset(layout="folders", split="ratio", ratio=shares, folds=5)

    return make


def per_class(corpus: Corpus, indices: np.ndarray) -> Counter[int]:
    return Counter(corpus.labels[indices].tolist())


def test_a_ratio_holds_in_every_class(by_ratio):
    corpus = made(50, 100, 10)
    parts = split(corpus, by_ratio(0.2, 0.1), 0, 0)
    assert per_class(corpus, parts.validation) == {0: 10, 1: 20, 2: 2}
    assert per_class(corpus, parts.test) == {0: 5, 1: 10, 2: 1}


def test_a_ratio_of_small_classes_holds_in_the_sum(by_ratio):
    corpus = made(*[4] * 50)
    parts = split(corpus, by_ratio(0.1, 0.1), 0, 0)
    assert [len(getattr(parts, part)) for part in PARTS] == [160, 20, 20]
    assert set(per_class(corpus, parts.validation).values()) == {1}


@pytest.mark.parametrize("fold", range(5))
def test_every_class_keeps_a_clip_to_train_on(by_ratio, fold):
    corpus = made(1, 2, 1, 3, 40)
    parts = split(corpus, by_ratio(0.45, 0.5), fold, 0)
    assert set(per_class(corpus, parts.train)) == {0, 1, 2, 3, 4}


def test_each_fold_draws_anew_and_always_the_same(by_ratio):
    corpus = made(10, 10)
    drawn = [tuple(split(corpus, by_ratio(), fold, 0).test) for fold in range(5)]
    assert len(set(drawn)) > 1
    # Written down once: another machine, Python or library has to draw these too.
    assert drawn[0] == (0, 7, 14, 18)


def test_a_clip_that_joins_moves_few_others(by_ratio):
    before, after = (split(made(0, count), by_ratio(), 0, 0) for count in (100, 101))
    assert len(set(before.test) ^ set(after.test)) <= 4


def test_without_a_share_for_the_test_those_that_validate_also_test(by_ratio):
    parts = split(made(10, 10), by_ratio(0.3, 0), 0, 0)
    np.testing.assert_array_equal(parts.validation, parts.test)
    assert len(parts.train) == 14


def test_a_share_of_nothing_is_refused(by_ratio):
    with pytest.raises(UserError, match="made: no clip is left for validation"):
        split(made(2, 2), by_ratio(0.1, 0.2), 0, 0)


# --- real recordings -----------------------------------------------------------------------------


def test_the_five_splits_of_esc10(shared_data, dataset):
    one = dataset(corpus="esc10", classes=10)
    corpus = esc50.read(shared_data / "esc10", one)
    tested = []
    for fold in range(5):
        parts = split(corpus, one, fold, 0)
        assert isinstance(parts, Split)
        assert [len(getattr(parts, part)) for part in PARTS] == [240, 80, 80]
        assert set(per_class(corpus, parts.train).values()) == {24}
        sources = [{c.file.split("-")[1] for c in clips(corpus, getattr(parts, p))} for p in PARTS]
        assert sum(map(len, sources)) == len(set.union(*sources))  # no recording is in two parts
        tested += parts.test.tolist()
    assert sorted(tested) == list(range(400))


def test_without_validation_clips_a_tenth_of_each_class_validates(tmp_path: Path) -> None:
    """The same clips in every fold and order; those for the test stay."""
    parts = ["train"] * 40 + ["test"] * 10
    clips = tuple(
        Clip(f"{i}.wav", tmp_path / f"{i}.wav", label=i % 2, part=part)
        for i, part in enumerate(parts)
    )
    dataset = Dataset.model_validate(
        {"corpus": "x", "layout": "folders", "classes": 2, "folds": 1, "frames": 20}
        | {"split": "given", "statistics": "training-split", "spec_augment": None}
    )
    found = split(Corpus(tmp_path, clips, ("a", "b")), dataset, 0, 0)
    assert found.test.tolist() == [*range(40, 50)]
    assert (len(found.train), len(found.validation)) == (36, 4)
    assert sorted(label % 2 for label in found.validation) == [0, 0, 1, 1]
    turned = split(Corpus(tmp_path, clips[::-1], ("a", "b")), dataset, 0, 1)
    names = {clips[i].file for i in found.validation}
    assert {clips[::-1][i].file for i in turned.validation} == names

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trees

from petl.config import Dataset
from petl.data.layouts import folders
from petl.data.splits import split
from petl.errors import UserError


@pytest.fixture
def given(dataset: Callable[..., Dataset]) -> Dataset:
    return dataset(corpus="birds", layout="folders", folds=1, split="given")


@pytest.fixture
def ratio(dataset: Callable[..., Dataset]) -> Dataset:
    shares = {"validation": 0.2, "test": 0.2}
    return dataset(corpus="birds", layout="folders", folds=3, split="ratio", ratio=shares)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "birds"
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for name in ("wren", "great tit"):
            for take in range(count):
                trees.put(folder / part / name / f"{take}.wav")
    return folder


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    folder = tmp_path / "birds"
    for name in ("wren", "great tit"):
        for take in range(10):
            trees.put(folder / name / f"{take}.wav")
    return folder


def test_parts_are_given_by_folders_and_labels_by_sorted_names(parts, given):
    corpus = folders.read(parts, given)
    assert corpus.classes == ("great tit", "wren")
    assert Counter((clip.part, clip.label) for clip in corpus.clips) == {
        (part, label): count
        for part, count in (("train", 4), ("validation", 2), ("test", 3))
        for label in (0, 1)
    }
    assert corpus.clips[0].file == "train/great tit/0.wav"
    assert [clip.part for clip in corpus.clips] == ["train"] * 8 + ["validation"] * 4 + ["test"] * 6


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Dev"])
def test_validation_has_several_names(parts, given, name):
    (parts / "val").rename(parts / name)
    assert Counter(clip.part for clip in folders.read(parts, given).clips)["validation"] == 4


def test_without_a_test_folder_those_that_validate_also_test(parts, given):
    (parts / "test").rename(parts.parent / "elsewhere")
    found = split(folders.read(parts, given), given, 0, 0)
    np.testing.assert_array_equal(found.validation, found.test)
    assert len(found.train) == 8


def test_whatever_libsndfile_reads_is_a_clip_wherever_it_lies(classes, ratio, caplog):
    trees.put(classes / "wren" / "spring" / "at dawn" / "SONG.FLAC")
    for name in ("a.ogg", "b.aif", "c.mp3", "._d.wav", ".hidden/e.wav", "notes.txt", "f.m4a"):
        trees.put(classes / "wren" / name)
    names = {clip.path.name for clip in folders.read(classes, ratio).clips}
    assert {"SONG.FLAC", "a.ogg", "b.aif", "c.mp3"} <= names
    assert names.isdisjoint({"._d.wav", "e.wav", "notes.txt", "f.m4a"})
    assert "skipped 1 .m4a, 1 .txt" in caplog.text or "1 .txt, 1 .m4a" in caplog.text


def test_numbers_as_names_are_sorted_by_value(tmp_path, ratio):
    for number in range(12):
        trees.put(tmp_path / "levels" / str(number) / "a.wav")
    corpus = folders.read(tmp_path / "levels", ratio.model_copy(update={"classes": 12}))
    assert corpus.classes == tuple(map(str, range(12)))


def test_a_folder_of_a_class_may_be_a_link(classes, ratio, tmp_path):
    trees.put(tmp_path / "scratch" / "robin" / "a.wav")
    (classes / "robin").symlink_to(tmp_path / "scratch" / "robin")
    corpus = folders.read(classes, ratio.model_copy(update={"classes": 3}))
    assert [clip.file for clip in corpus.clips if clip.label == 1] == ["robin/a.wav"]


def test_a_link_to_a_folder_above_ends(classes, ratio):
    (classes / "wren" / "again").symlink_to(classes / "wren")
    with pytest.raises(UserError, match="more than 32 levels of folders"):
        folders.read(classes, ratio)


def test_a_class_may_be_called_train(classes, ratio):
    (classes / "wren").rename(classes / "train")
    assert folders.read(classes, ratio).classes == ("great tit", "train")


def test_a_class_that_only_validation_has_is_named(parts, given):
    trees.put(parts / "val" / "robin" / "a.wav")
    with pytest.raises(UserError, match=r"birds/train/robin: no sound file to train on"):
        folders.read(parts, given)


def test_a_class_without_sound_says_what_is_there_instead(classes, ratio):
    for number in range(3):
        trees.put(classes / "robin" / f"{number}.m4a")
    with pytest.raises(UserError, match=r"/robin: no sound file to train on; it holds 3 \.m4a"):
        folders.read(classes, ratio)


def test_a_wrong_number_of_classes_lists_them(classes, ratio):
    with pytest.raises(UserError, match=r"2 classes, but dataset\.classes is 3; it has great tit"):
        folders.read(classes, ratio.model_copy(update={"classes": 3}))


def test_the_other_way_to_lay_folders_out_is_recognised(parts, given, ratio, tmp_path):
    with pytest.raises(UserError, match="use 'split: given' for them"):
        folders.read(parts, ratio)
    trees.put(tmp_path / "flat" / "wren" / "a.wav")
    with pytest.raises(UserError, match=r"flat/wren: with 'split: given' .* use 'split: ratio'"):
        folders.read(tmp_path / "flat", given)


def test_a_misspelt_part_is_named(parts, given):
    (parts / "test").rename(parts / "tests")
    with pytest.raises(UserError, match=r"birds/tests: .* did you mean 'test'\?"):
        folders.read(parts, given)


def test_a_missing_or_double_part_is_named(parts, given):
    trees.put(parts / "dev" / "wren" / "a.wav")
    with pytest.raises(UserError, match="than one folder for validation: dev, test, train, val"):
        folders.read(parts, given)
    for name in ("dev", "val", "test"):
        (parts / name).rename(parts.parent / name)
    with pytest.raises(UserError, match=r"no folder validation and no folder test; .* holds train"):
        folders.read(parts, given)


def test_more_folds_than_the_given_split_are_refused(parts, given):
    with pytest.raises(UserError, match=r"folders has one split, but dataset\.folds is 5"):
        folders.read(parts, given.model_copy(update={"folds": 5}))

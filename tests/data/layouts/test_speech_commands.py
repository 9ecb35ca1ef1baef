from __future__ import annotations

from collections import Counter

import pytest
import trees

from petl.data.layouts import speech_commands
from petl.errors import UserError


@pytest.fixture
def tree(tmp_path):
    return trees.speech_commands(tmp_path / "gsc")


@pytest.fixture
def settings(tmp_path):
    return trees.preset("speech-commands", "as-run", tmp_path)


def test_words_are_classes_and_noise_is_none(tree, settings):
    corpus = speech_commands.read(tree, settings)
    assert corpus.classes == tuple(trees.WORDS)
    assert Counter(corpus.labels.tolist()) == dict.fromkeys(range(35), 5)
    assert not [clip for clip in corpus.clips if "noise_" in clip.file or "/." in clip.file]


def test_the_lists_say_who_validates_and_tests(tree, settings):
    corpus = speech_commands.read(tree, settings)
    assert Counter(clip.part for clip in corpus.clips) == {
        "train": 105,
        "validation": 35,
        "test": 35,
    }
    speakers = {"train": {"f0a", "0c1"}, "validation": {"9db"}, "test": {"a4e"}}
    for part, expected in speakers.items():
        assert {clip.group for clip in corpus.clips if clip.part == part} == expected


def test_the_order_is_sorted_whatever_the_disk_says(tree, settings):
    files = [clip.file for clip in speech_commands.read(tree, settings).clips]
    assert files == sorted(files)


def test_a_part_of_the_corpus_reads_with_the_published_lists(tmp_path, settings):
    tree = trees.speech_commands(tmp_path / "part", words=("yes", "no"))
    corpus = speech_commands.read(tree, settings.model_copy(update={"classes": 2}))
    assert corpus.classes == ("no", "yes")
    assert len(corpus.clips) == 10


def test_a_lost_word_is_noticed(tree, settings):
    (tree / "zero").rename(tree / ".zero")
    with pytest.raises(UserError, match=r"34 classes, but dataset\.classes is 35; it has backward"):
        speech_commands.read(tree, settings)


def test_lost_clips_of_the_lists_are_counted(tree, settings):
    (tree / "yes" / "9db_nohash_0.wav").unlink()
    (tree / "no" / "a4e_nohash_0.wav").unlink()
    with pytest.raises(UserError, match=r"2 clips missing: yes/9db_nohash_0\.wav, no/a4e"):
        speech_commands.read(tree, settings)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "yse/9db_nohash_0.wav",
            r"ing_list\.txt, line 37: no folder 'yse'; did you mean 'yes'",
        ),
        ("yes", r"testing_list\.txt, line 37: 'yes' is not <word>/<file>"),
        ("yes/9db_nohash_0.wav", r"line 37: yes/9db_nohash_0\.wav is in validation_list\.txt too"),
    ],
)
def test_a_broken_list_names_its_line(tree, settings, line, complaint):
    with (tree / "testing_list.txt").open("a") as file:
        file.write(line + "\r\n")
    with pytest.raises(UserError, match=complaint):
        speech_commands.read(tree, settings)


def test_a_missing_list_says_what_is_there(tree, settings):
    (tree / "testing_list.txt").unlink()
    with pytest.raises(UserError, match=r"testing_list\.txt: no such file; .* holds LICENSE"):
        speech_commands.read(tree, settings)


def test_more_folds_than_the_one_split_are_refused(tree, settings):
    with pytest.raises(UserError, match=r"speech-commands has one split, but dataset\.folds is 5"):
        speech_commands.read(tree, settings.model_copy(update={"folds": 5}))

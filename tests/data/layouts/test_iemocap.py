from __future__ import annotations

from collections import Counter

import pytest
import trees

from petl.data.layouts import iemocap
from petl.data.splits import split
from petl.errors import UserError


@pytest.fixture
def tree(tmp_path):
    return trees.iemocap(tmp_path / "iemocap")


@pytest.fixture
def settings(tmp_path):
    return trees.preset("iemocap", "as-run", tmp_path)


def test_excitement_is_happiness_and_other_emotions_are_left_out(tree, settings):
    corpus = iemocap.read(tree, settings)
    assert corpus.classes == ("neutral", "happy", "sad", "angry")
    # five sessions, two dialogs, two speakers; hap and exc are one
    assert Counter(corpus.labels.tolist()) == {0: 20, 1: 40, 2: 20, 3: 20}


def test_the_last_letter_says_who_speaks_not_the_dialogs(tree, settings):
    for clip in iemocap.read(tree, settings).clips:
        assert clip.group == f"{clip.fold}{clip.path.stem.rpartition('_')[2][0]}"
        assert clip.file.startswith(f"Session{clip.fold}/sentences/wav/Ses0{clip.fold}")
        assert clip.path.is_file()


def test_the_order_is_sorted(tree, settings):
    names = [clip.file for clip in iemocap.read(tree, settings).clips]
    assert names == sorted(names)


@pytest.mark.parametrize("fold", range(10))
def test_four_sessions_train_and_the_two_speakers_of_the_fifth_take_turns(tree, settings, fold):
    corpus = iemocap.read(tree, settings)
    parts = split(corpus, settings, fold, 0)
    left_out = (5, 5, 1, 1, 2, 2, 3, 3, 4, 4)[fold]
    validates, tests = ("FM", "MF")[fold % 2]
    speakers = [
        {corpus.clips[index].group for index in part}
        for part in (parts.train, parts.validation, parts.test)
    ]
    others = {f"{session}{who}" for session in {1, 2, 3, 4, 5} - {left_out} for who in "FM"}
    assert speakers == [others, {f"{left_out}{validates}"}, {f"{left_out}{tests}"}]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("\tang\t", "\tagn\t", r"Ses03F_impro01\.txt, line 19: unknown emotion 'agn'.*'ang'"),
        ("\tSes03F_impro01_M004\t", " M004 ", r"line 19: .* is not \[start - end\], sentence"),
        ("_M004\t", "_M994\t", r"1 of 100 clips are missing: Session3/.*_M994\.wav"),
    ],
)
def test_a_broken_evaluation_names_its_line(tree, settings, old, new, complaint):
    table = tree / "Session3" / "dialog" / "EmoEvaluation" / "Ses03F_impro01.txt"
    text = table.read_bytes().decode("latin-1")
    table.write_bytes(text.replace(old, new, 1).encode("latin-1"))
    with pytest.raises(UserError, match=complaint):
        iemocap.read(tree, settings)


def test_a_missing_session_is_named(tree, settings):
    (tree / "Session4").rename(tree / "session_4")
    complaint = r"Session4/dialog/EmoEvaluation: no Ses\*\.txt; .*iemocap holds Session1, Session2"
    with pytest.raises(UserError, match=complaint):
        iemocap.read(tree, settings)


def test_other_numbers_of_classes_and_splits_are_refused(tree, settings):
    with pytest.raises(UserError, match=r"4 classes, but dataset\.classes is 6"):
        iemocap.read(tree, settings.model_copy(update={"classes": 6}))
    with pytest.raises(UserError, match=r"iemocap has 10 splits, but dataset\.folds is 5"):
        iemocap.read(tree, settings.model_copy(update={"folds": 5}))

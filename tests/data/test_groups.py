"""The recordings and speakers of clips, and splits that keep the clips of one together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trees

from petl.config import Dataset
from petl.data import layouts
from petl.data.corpus import Clip, Corpus
from petl.data.folds import grouped_folds, random_folds
from petl.data.splits import NAMES, split
from petl.data.synthetic.quickstart import make_corpus
from petl.errors import UserError

OWN = {"corpus": "own", "layout": "folders", "split": "k-fold", "folds": 3}
TABLE = {"file": "clips.csv", "path": "file", "label": "label"}


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Three speakers, two digits, two takes."""
    rows = []
    for digit in "01":
        for speaker in ("ann", "bob", "cem"):
            for take in "01":
                file = f"{digit}/{digit}_{speaker}_{take}.wav"
                trees.put(tmp_path / "own" / file)
                rows.append([file, digit, speaker])
    trees.put_table(tmp_path / "own" / "clips.csv", "file,label,speaker", rows)
    return tmp_path / "own"


def test_published_layouts_tell_recordings_and_speakers(corpora):
    found = {way: corpus.clips[0].group for way, (corpus, _) in corpora.items()}
    assert found["esc50"] == "100"
    assert found["urbansound8k, as run"] == "100100"
    assert found["speech-commands"] == "0c1"
    assert found["fluent-speech-commands"] == "2BqVo8kVB2Skwgyb"
    assert found["iemocap"] == "1F"
    assert found["folders, ratio"] == ""


def test_a_pattern_or_a_column_tells_groups(digits, dataset):
    by_pattern = layouts.read(digits, dataset(**OWN, group="_([a-z]+)_"))
    own = OWN | {"layout": "table"}
    by_column = layouts.read(digits, dataset(**own, table=TABLE | {"group": "speaker"}))
    both = layouts.read(digits, dataset(**own, table=TABLE, group="_([a-z]+)_"))
    groups = ["ann", "ann", "bob", "bob", "cem", "cem"] * 2
    for corpus in (by_pattern, by_column, both):
        assert [clip.group for clip in corpus.clips] == groups


@pytest.mark.parametrize(("pattern", "count"), [("-([a-z]+)-", "any"), ("_(ann)_", "8")])
def test_a_pattern_that_misses_clips_is_refused(digits, dataset, pattern, count):
    with pytest.raises(UserError, match=f"finds no group in {count} of 12 clips"):
        layouts.read(digits, dataset(**OWN, group=pattern))


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("singer", "", "clips.csv: no column singer; it has file, label, speaker"),
        ("speaker", "0/0_ann_0.wav,0,\n", "clips.csv, line 14: speaker is empty"),
    ],
)
def test_a_column_without_groups_is_refused(digits, dataset, column, text, message):
    table = digits / "clips.csv"
    table.write_text(table.read_text() + text)
    with pytest.raises(UserError, match=message):
        layouts.read(digits, dataset(**OWN | {"layout": "table"}, table=TABLE | {"group": column}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "(a)"}, "for the layouts folders and table, not 'esc50'"),
        (
            OWN | {"layout": "table", "table": TABLE | {"group": "speaker"}, "group": "(a)"},
            "set one of them",
        ),
        (OWN | {"group": "(a+)+"}, "one pair of parentheses"),
        (OWN | {"split": "grouped"}, "needs dataset.group, a pattern"),
        (
            OWN | {"layout": "table", "table": TABLE, "split": "random"},
            "dataset.group, a pattern .* or dataset.table.group, a column",
        ),
        ({"layout": "fsd50k", "split": "grouped", "folds": 1}, "'fsd50k' allows paper"),
    ],
)
def test_settings_that_say_no_groups_are_refused(dataset, settings, message):
    with pytest.raises(ValueError, match=message):
        dataset(**settings)


# --- splits ---------------------------------------------------------------------------------------

LABELS = ("rare", "usual", "common", "very common")
GROUPED_FILES = [f"{name}.wav" for name in ("00-0", "05-0", "05-1", "05-2", "05-3", "05-4")]
RANDOM_FILES = [f"{name}.wav" for name in ("01-1", "02-2", "03-0", "03-2", "04-0", "04-4")]


@pytest.fixture
def made() -> Corpus:
    """Twenty recordings of one to nine clips, four classes of very different sizes."""
    rng = np.random.default_rng(0)
    clips = []
    for recording in range(20):
        for take in range(1 + recording % 9):
            file = f"{recording:02}-{take}.wav"
            label = int(rng.choice(4, p=(0.15, 0.2, 0.25, 0.4)))
            clips.append(Clip(file, Path(file), label, group=f"{recording:02}"))
    return Corpus(Path("made"), tuple(clips), LABELS)


@pytest.fixture
def drawn(dataset):
    def make(split: str = "grouped", folds: int = 4) -> Dataset:
        own = {"corpus": "own", "layout": "folders", "classes": 4}
        return dataset(**own, folds=folds, split=split, group="(.)-")

    return make


def test_grouped_folds_have_nearly_their_share_of_each_class(made, drawn):
    shares = np.bincount(made.labels) / 4
    for fold in range(4):
        parts = split(made, drawn(), fold, 0)
        counts = np.bincount(made.labels[parts.test], minlength=4)
        assert (np.abs(counts - shares) <= np.maximum(2, 0.25 * shares)).all()
        names = [{made.clips[i].group for i in getattr(parts, part)} for part in NAMES]
        assert sum(map(len, names)) == 20 == len(set.union(*names))


def test_random_folds_have_the_same_counts_and_share_recordings(made, drawn):
    for fold in range(4):
        grouped, random = (split(made, drawn(way), fold, 0) for way in ("grouped", "random"))
        for part in NAMES:
            of_classes = [
                np.bincount(made.labels[getattr(found, part)], minlength=4)
                for found in (grouped, random)
            ]
            np.testing.assert_array_equal(*of_classes)
        tested, trained = (
            {made.clips[i].group for i in part} for part in (random.test, random.train)
        )
        assert len(tested & trained) > len(tested) / 2


def test_the_folds_are_the_same_on_every_machine(made, drawn):
    """Written down once; neither the order of the clips nor the seed changes them."""
    turned = Corpus(made.folder, made.clips[::-1], made.classes)
    for way, files in (("grouped", GROUPED_FILES), ("random", RANDOM_FILES)):
        for corpus, seed in ((made, 0), (turned, 7)):
            tested = split(corpus, drawn(way), 0, seed).test
            assert sorted(corpus.clips[i].file for i in tested)[:6] == files


def test_folds_of_clips_with_several_labels_and_of_numbers(made):
    """A regression has only clips to count; clips with the same labels change places."""
    several = tuple(replace(c, labels=(c.label, 3)[: 1 + i % 2]) for i, c in enumerate(made.clips))
    corpus = Corpus(made.folder, several, LABELS, several=True)
    numbers = Corpus(made.folder, made.clips, ())
    for one in (corpus, numbers):
        folds = grouped_folds(one, range(len(one.clips)), 4)
        sizes = np.bincount(folds)[1:]
        assert sizes.max() - sizes.min() <= 4
        mixed = random_folds(one, folds)
        np.testing.assert_array_equal(np.bincount(mixed), np.bincount(folds))
        targets = one.targets if one.several else np.zeros((len(folds), 1))
        for fold in range(1, 5):
            np.testing.assert_array_equal(
                targets[mixed == fold].sum(0), targets[folds == fold].sum(0)
            )


def test_too_few_groups_and_clips_without_one_are_refused(made, drawn):
    with pytest.raises(UserError, match=r"made: 20 groups for 21 folds .*at most 20"):
        split(made, drawn(folds=21), 0, 0)
    bare = Corpus(made.folder, (replace(made.clips[0], group=""), *made.clips[1:]), LABELS)
    with pytest.raises(UserError, match="made: 1 clip without a group"):
        split(bare, drawn("random"), 0, 0)


def test_given_parts_that_share_a_recording_are_refused(made, drawn, dataset):
    parts = ["train" if clip.group < "12" else "test" for clip in made.clips]
    clips = tuple(replace(c, part=part) for c, part in zip(made.clips, parts, strict=True))
    settings = {"corpus": "own", "layout": "folders", "classes": 4, "folds": 1, "split": "given"}
    given = dataset(**settings, group="(.)-")
    held_out = split(Corpus(made.folder, clips, LABELS), given, 0, 0)
    names = [{clips[i].group for i in getattr(held_out, part)} for part in NAMES]
    assert sum(map(len, names)) == 20  # also the clips that validate were drawn in whole recordings
    moved = (*clips[:-1], replace(clips[-1], group="00"))
    with pytest.raises(UserError, match=r"group '00' is in \w+ \(.*\) and in test \(19-1.wav\)"):
        split(Corpus(made.folder, moved, LABELS), given, 0, 0)


def test_made_recordings_have_several_clips_of_the_same_sound(tmp_path, dataset):
    make_corpus(tmp_path / "made", folds=1, takes=4, alike=2)
    made = layouts.read(tmp_path / "made", dataset(classes=10, folds=1))
    assert [clip.group for clip in made.clips[:4]] == ["100000", "100000", "100001", "100001"]
    one, same, other = (soundfile.read(made.clips[i].path)[0] for i in (0, 1, 2))
    assert not np.array_equal(one, same)
    pitch, again, another = (np.abs(np.fft.rfft(sound)).argmax() for sound in (one, same, other))
    assert abs(pitch - again) < 5 < abs(pitch - another)  # steady tones

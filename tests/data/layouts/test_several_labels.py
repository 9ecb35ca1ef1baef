"""Clips with several labels: FSD50K, AudioSet, and a table with a separator."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import trees

from petl.config import Dataset
from petl.data import layouts
from petl.data.corpus import Corpus
from petl.data.splits import Split, split
from petl.data.synthetic.mixtures import MIDS, NAMES, like_audioset, like_fsd50k, made_clips
from petl.errors import UserError

PARTS = {"train": 30, "val": 8, "test": 12}


@pytest.fixture
def settings(dataset):
    def make(layout: str, **more) -> Dataset:
        given = {"layout": layout, "classes": 10, "folds": 1, "split": "paper"}
        return dataset(**given | more)

    return make


def by_part(corpus: Corpus) -> dict[str, list[tuple[int, ...]]]:
    found: dict[str, list[tuple[int, ...]]] = {}
    for clip in corpus.clips:
        found.setdefault(clip.part, []).append(clip.labels)
    return found


@cache
def made(part: str) -> list[tuple[int, ...]]:
    return [tuple(labels) for name, labels, _ in made_clips(PARTS, 0) if name == part]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    like_fsd50k(folder / "fsd50k", PARTS, 0)
    like_audioset(folder / "audioset", PARTS, 0)
    return folder


# --- FSD50K ---------------------------------------------------------------------------------------


@pytest.fixture
def fsd50k(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written / "fsd50k", tmp_path / "fsd50k"))


def test_fsd50k_is_read_as_published(fsd50k, settings) -> None:
    one = settings("fsd50k")
    corpus = layouts.read(fsd50k, one)
    assert list(corpus.classes) == NAMES
    assert by_part(corpus) == {
        "train": made("train"),
        "validation": made("val"),
        "test": made("test"),
    }
    assert corpus.clips[0].file == "FSD50K.dev_audio/1000.wav"
    assert corpus.targets.dtype == np.uint8
    assert [tuple(np.flatnonzero(row)) for row in corpus.targets] == [
        c.labels for c in corpus.clips
    ]
    parts = split(corpus, one, 0, 0)
    assert [len(p) for p in (parts.train, parts.validation, parts.test)] == [30, 8, 12]


@pytest.mark.parametrize(
    ("table", "old", "new", "complaint"),
    [
        ("dev", "Steady_tone", "Steady_tune", "no class 'Steady_tune'; did you mean 'Steady_tone'"),
        ("dev", ",val", ",vax", "line 32: split 'vax' is not a part; did you mean 'val'"),
        ("dev", "1000,", "../../x,", r"line 2: fname is '../../x', not the name of a file"),
        ("eval", "labels", "tags", r"eval\.csv: no column labels; it has fname, tags, mids"),
        ("vocabulary", "9,Noise_swell,/t/petl09\n", "", "no class 'Noise_swell'"),
    ],
)  # fmt: skip
def test_mistakes_in_fsd50ks_tables_are_named(
    fsd50k, settings, table: str, old: str, new: str, complaint: str
) -> None:
    file = fsd50k / "FSD50K.ground_truth" / f"{table}.csv"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UserError, match=complaint):
        layouts.read(fsd50k, settings("fsd50k"))


# --- AudioSet -------------------------------------------------------------------------------------


@pytest.fixture
def audioset(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written / "audioset", tmp_path / "audioset"))


def test_audioset_is_read_as_published(audioset, settings, caplog) -> None:
    """Comments above the rows, spaces after commas, quoted lists; files named in three ways."""
    sounds = audioset / "balanced_train_segments"
    (sounds / "made-000000.wav").rename(sounds / "Ymade-000000.wav")
    (sounds / "part1").mkdir()
    (sounds / "made-000001.wav").rename(sounds / "part1" / "made-000001_0.000_1.000.wav")
    one = settings("audioset", split="ast-recipe")
    corpus = layouts.read(audioset, one)
    assert list(corpus.classes) == NAMES
    assert by_part(corpus) == {"train": made("train") + made("val"), "test": made("test")}
    assert corpus.clips[1].file == "balanced_train_segments/part1/made-000001_0.000_1.000.wav"
    assert caplog.text == ""
    parts = split(corpus, one, 0, 0)
    assert parts.validation.tolist() == parts.test.tolist() == list(range(38, 50))


def test_a_tenth_of_audiosets_training_clips_is_held_out(audioset, settings) -> None:
    one = settings("audioset", split="held-out")
    corpus = layouts.read(audioset, one)
    parts = split(corpus, one, 0, 0)
    assert len(parts.validation) in (3, 4, 5)
    assert sorted([*parts.train, *parts.validation]) == list(range(38))


def test_segments_whose_video_has_gone_are_left_out_and_counted(audioset, settings, caplog) -> None:
    for number in (3, 5):
        (audioset / "balanced_train_segments" / f"made-{number:06}.wav").unlink()
    corpus = layouts.read(audioset, settings("audioset", split="ast-recipe"))
    assert len(corpus.clips) == 48
    assert "2 of 38 segments have no sound" in caplog.text
    for sound in (audioset / "eval_segments").iterdir():
        sound.unlink()
    with pytest.raises(UserError, match=r"eval_segments\.csv: none of its 12 segments has a sound"):
        layouts.read(audioset, settings("audioset", split="ast-recipe"))


def test_a_label_that_audioset_does_not_have_is_named(audioset, settings) -> None:
    table = audioset / "eval_segments.csv"
    table.write_text(table.read_text().replace(MIDS[0], "/t/petl99", 1))
    with pytest.raises(
        UserError, match=r"eval_segments\.csv, line \d+: there is no class '/t/petl99'"
    ):
        layouts.read(audioset, settings("audioset", split="ast-recipe"))


# --- a table --------------------------------------------------------------------------------------

TAGS = ("rain; wind", "wind", "", "rain;thunder ; rain", "wind;", "rain", "thunder", "rain; wind")


def tags(folder: Path, many: int = 1) -> Path:
    rows = []
    for number in range(many * len(TAGS)):
        trees.put(folder / f"{number:03}.wav")
        rows.append([f"{number:03}.wav", TAGS[number % len(TAGS)]])
    trees.put_table(folder / "clips.csv", "file,tags", rows)
    return folder


def of_table(settings, **more) -> Dataset:
    table = {"file": "clips.csv", "path": "file", "label": "tags", "separator": ";"}
    return settings("table", table=table, classes=3, **{"split": "k-fold", "folds": 4} | more)


def test_a_cell_holds_several_labels_or_none(tmp_path, settings) -> None:
    corpus = layouts.read(tags(tmp_path / "own"), of_table(settings))
    assert corpus.classes == ("rain", "thunder", "wind")
    assert [clip.labels for clip in corpus.clips[:5]] == [(0, 2), (2,), (), (0, 1), (2,)]


def parts_of(parts: Split) -> list[list[int]]:
    return [part.tolist() for part in (parts.train, parts.validation, parts.test)]


def test_every_fold_and_part_has_its_share_of_every_label(tmp_path, settings) -> None:
    folder = tags(tmp_path / "own", many=8)
    one = of_table(settings)
    corpus = layouts.read(folder, one)
    everywhere = corpus.targets.sum(axis=0)
    tested = []
    for fold in range(4):
        parts = split(corpus, one, fold, 0)
        assert parts_of(parts) == parts_of(split(corpus, one, fold, 7))
        tested += parts.test.tolist()
        for part, share in ((parts.train, 0.5), (parts.validation, 0.25), (parts.test, 0.25)):
            assert corpus.targets[part].sum(axis=0) == pytest.approx(share * everywhere, abs=1)
            assert len(part) == pytest.approx(share * 64, abs=1)
    assert sorted(tested) == list(range(64))
    ratio = of_table(settings, split="ratio", ratio={"validation": 0.25, "test": 0.25})
    first, second = (split(corpus, ratio, fold, 0) for fold in (0, 1))
    assert corpus.targets[first.test].sum(axis=0) == pytest.approx(everywhere / 4, abs=1)
    assert parts_of(first) != parts_of(second)


def test_a_part_without_anything_to_tell_is_refused(tmp_path, settings, caplog) -> None:
    folder = tmp_path / "own"
    for name in "abcdef":
        trees.put(folder / f"{name}.wav")
    rows = ["a.wav,x;y,train", "b.wav,x,train", "c.wav,y,val", "d.wav,x,val", "e.wav,z,test"]
    trees.put(folder / "clips.csv", "\n".join(["file,tags,part", *rows, "f.wav,x,test", ""]))
    columns = {"path": "file", "label": "tags", "separator": ";", "part": "part"}
    one = settings("table", table={"file": "clips.csv"} | columns, classes=3, split="given")
    split(layouts.read(folder, one), one, 0, 0)
    assert "in test, but no clip trains: z" in caplog.text
    trees.put(
        folder / "clips.csv", (folder / "clips.csv").read_text().replace("d.wav,x", "d.wav,y")
    )
    with pytest.raises(UserError, match="no class is in some clips of validation and not in"):
        split(layouts.read(folder, one), one, 0, 0)

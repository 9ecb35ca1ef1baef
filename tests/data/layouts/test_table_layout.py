from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import trees
from pydantic import ValidationError

from petl.config import Dataset
from petl.data.layouts import table
from petl.data.load import prepare, targets_of
from petl.data.splits import split
from petl.errors import UserError
from petl.places import Places

SHARES = {"validation": 0.25, "test": 0.25}


@pytest.fixture
def settings(dataset: Callable[..., Dataset]) -> Callable[..., Dataset]:
    """Columns as keywords of the table, the rest of the dataset in `more`."""

    def make(more: dict[str, Any] | None = None, **columns: str) -> Dataset:
        one: dict[str, Any] = {"corpus": "own", "layout": "table", "folds": 1, "split": "given"}
        if not {"fold", "part"} & columns.keys():
            one |= {"split": "ratio", "ratio": SHARES}
        if not (more or {}).get("targets"):
            columns = {"label": "label"} | columns
        return dataset(
            **one | {"table": {"file": "clips.csv", "path": "file"} | columns} | (more or {})
        )

    return make


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """The rows as they stand, and a sound for each a.wav .. h.wav."""

    def make(text: str | bytes) -> Path:
        for name in "abcdefgh":
            trees.put(tmp_path / "own" / "sounds" / f"{name}.wav")
        trees.put(tmp_path / "own" / "clips.csv", text)
        return tmp_path / "own"

    return make


def lines(header: str, *columns: Any) -> str:
    """A row for each of the eight sounds; columns are lists that start again at their end."""
    rows = zip("abcdefgh", *(itertools.cycle(column) for column in columns), strict=False)
    made = [",".join([f"sounds/{name}.wav", *map(str, values)]) for name, *values in rows]
    return "\n".join([header, *made, ""])


LABELS = lines("file,label", ["wren", "robin"])


def test_labels_are_sorted_and_clips_in_the_order_of_rows(own, settings):
    corpus = table.read(own(LABELS), settings())
    assert corpus.classes == ("robin", "wren")
    assert corpus.targets.tolist() == [1, 0] * 4
    assert [clip.path.stem for clip in corpus.clips] == list("abcdefgh")


def test_numbers_as_labels_are_sorted_by_value(own, settings):
    corpus = table.read(own(lines("file,label", [10, 9])), settings())
    assert corpus.classes == ("9", "10")


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + LABELS.encode(),
        LABELS.replace("\n", "\r\n"),
        LABELS + "\n\n",
        LABELS.replace(",", ", "),
        LABELS.replace("sounds/a", '"sounds/a').replace("a.wav", 'a.wav"'),
        LABELS.replace("sounds/a", "./sounds//a"),
    ],
    ids=["byte order mark", "CRLF", "empty lines", "spaces", "quotes", "dots"],
)
def test_whatever_program_wrote_it_the_table_says_the_same(own, settings, text):
    folder = own(text)
    assert table.read(folder, settings()) == table.read(own(LABELS), settings())


def test_a_name_with_a_comma_is_quoted(own, settings):
    folder = own(LABELS.replace("sounds/a.wav", '"sounds/dawn, 4 ""am"".wav"'))
    trees.put(folder / "sounds" / 'dawn, 4 "am".wav')
    assert table.read(folder, settings()).clips[0].path.name == 'dawn, 4 "am".wav'


@pytest.mark.parametrize("fold", range(4))
def test_a_column_of_folds_is_a_cross_validation(own, settings, fold):
    one = settings({"folds": 4}, fold="fold")
    corpus = table.read(own(lines("file,label,fold", ["x", "y"], [1, 1, 2, 2, 3, 3, 4, 4])), one)
    parts = split(corpus, one, fold, 0)
    assert set(corpus.folds[parts.test]) == {fold + 1}
    assert set(corpus.folds[parts.validation]) == {(fold - 1) % 4 + 1}
    assert len(parts.train) == 4


def test_a_column_of_parts_is_the_split(own, settings):
    one = settings(part="set")
    text = lines("file,label,set", ["x", "y"], ["Train", "train", "train", "train", "val", "dev"])
    corpus = table.read(own(text), one)
    parts = split(corpus, one, 0, 0)
    assert parts.validation.tolist() == parts.test.tolist() == [4, 5]
    assert parts.train.tolist() == [0, 1, 2, 3, 6, 7]


def test_a_regression_reads_numbers(own, settings):
    one = settings({"classes": None, "targets": ["arousal", "valence"]})
    corpus = table.read(own(lines("file,arousal,valence", [0.5, -2], ["1e-3", 4])), one)
    assert corpus.classes == ()
    assert corpus.targets.dtype == np.float32
    np.testing.assert_allclose(corpus.targets[:2], [[0.5, 1e-3], [-2, 4]])
    parts = split(corpus, one, 0, 0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [4, 2, 2]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("high", "line 2: arousal 'high' is not a number"),
        ("", "line 2: arousal '' is not a number"),
        ("nan", "line 2: arousal 'nan' is not a finite number"),
        ("-inf", "line 2: arousal '-inf' is not a finite number"),
        ("1e39", "line 2: arousal '1e39' is not a finite number"),
    ],
)
def test_what_is_no_number_names_its_line(own, settings, value, complaint):
    one = settings({"classes": None, "targets": ["arousal"]})
    with pytest.raises(UserError, match=rf"clips\.csv, {complaint}$"):
        table.read(own(lines("file,arousal", [value, 1])), one)


def test_a_value_outside_the_range_names_its_line(own, settings):
    one = settings({"classes": None, "targets": ["arousal"], "range": [1, 9]})
    table.read(own(lines("file,arousal", [1, 9.0])), one)
    with pytest.raises(UserError, match=r"line 3: arousal 9\.01 is not between 1 and 9"):
        table.read(own(lines("file,arousal", [5, 9.01])), one)


def test_a_model_learns_scaled_targets(own, settings):
    scale = {"centre": 5, "spread": 4}
    one = settings({"classes": None, "targets": ["arousal"], "scale": scale})
    corpus = table.read(own(lines("file,arousal", [1, 9])), one)
    learned = targets_of(corpus, one)
    assert (learned[0], learned[1], learned.dtype) == (-1, 1, np.float32)
    assert (corpus.targets[0], corpus.targets[1]) == (1, 9)
    assert one.scale.undone(learned[1]) == 9


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [({"range": [9, 1]}, "the lowest value, then"), ({"scale": {"spread": 1}}, "centre")],
)
def test_a_range_and_a_scale_make_sense(settings, setting, complaint):
    with pytest.raises(ValueError, match=complaint):
        settings({"classes": None, "targets": ["arousal"]} | setting)
    with pytest.raises(ValueError, match="for the targets of a regression"):
        settings({"range": [1, 9]})


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("sounds/b.wav,robin", "sounds/b.wav,", r"clips\.csv, line 3: label is empty$"),
        ("sounds/b", "../sounds/b", r"line 3: file is '\.\./sounds/b\.wav', not a path inside"),
        ("sounds/b", "/sounds/b", r"line 3: file is '/sounds/b\.wav', not a path inside"),
        ("sounds/b.wav", "", r"line 3: file is '', not a path inside"),
        ("sounds/b", "sounds/z", r"own: 1 of 8 clips are missing: sounds/z\.wav$"),
        ("sounds/b", "sounds/a", r"own: named more than once: sounds/a\.wav$"),
        ("sounds/b.wav,robin", "sounds/b.wav,robbin", r"3 classes, but .* it has robbin, robin"),
        ("file,label", "file,class", r"clips\.csv: no column label; it has file, class$"),
        ("file,label", "file;label", r"no column file, label; it has file;label$"),
        ("sounds/b.wav", "sounds, b.wav", r"line 3: more cells than the 2 columns"),
        ("sounds/b", '"sounds/b', r"clips\.csv: unexpected end of data"),
    ],
)
def test_a_broken_table_names_its_line(own, settings, old, new, complaint):
    with pytest.raises(UserError, match=complaint) as error:
        table.read(own(LABELS.replace(old, new, 1)), settings())
    assert "\n" not in str(error.value)


def test_a_table_that_is_none_is_named(own, settings):
    with pytest.raises(UserError, match=r"clips\.csv: no row below the header"):
        table.read(own("file,label\n"), settings())
    with pytest.raises(UserError, match=r"clips\.csv: .*utf-8.* codec can't decode"):
        table.read(own(LABELS.replace("wren", "tétras").encode("latin-1")), settings())
    folder = own(LABELS)
    (folder / "clips.csv").rename(folder / "klips.csv")
    with pytest.raises(UserError, match=r"clips\.csv: no such file; .* holds klips\.csv, sounds"):
        table.read(folder, settings())


def test_folds_and_parts_are_checked(own, settings):
    text = lines("file,label,fold", ["x", "y"], [1, 1, 2, 2, 4, 4])
    with pytest.raises(UserError, match=r"folds 1, 2, 4, but dataset\.folds is 4"):
        table.read(own(text), settings({"folds": 4}, fold="fold"))
    with pytest.raises(UserError, match=r"line 4: fold 'two' is not a whole number"):
        table.read(own(text.replace(",2", ",two")), settings({"folds": 4}, fold="fold"))
    text = lines("file,label,set", ["x", "y"], ["train", "train", "tset"])
    with pytest.raises(UserError, match=r"line 4: set 'tset' is not a part; did you mean 'test'\?"):
        table.read(own(text), settings(part="set"))


def test_a_class_that_only_validation_has_is_named(own, settings):
    one = settings(part="set")
    text = lines("file,label,set", ["x"] * 7 + ["y"], ["train", "val"])
    with pytest.raises(UserError, match=r"class 'y' is in validation \(sounds/h\.wav\), but no"):
        split(table.read(own(text), one), one, 0, 0)


@pytest.mark.parametrize(
    ("more", "columns", "complaint"),
    [
        ({}, {"fold": "fold", "part": "set"}, "needs one column, 'fold' or 'part'"),
        ({"split": "given", "ratio": None}, {}, "needs one column, 'fold' or 'part'"),
        ({"split": "ratio", "ratio": SHARES}, {"fold": "fold"}, "the other splits need none"),
        ({"classes": None, "targets": ["x"]}, {"label": "y"}, "label is for classes"),
        ({}, {"label": None}, r"dataset\.table\.label is missing"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(settings, more, columns, complaint):
    with pytest.raises(ValidationError, match=complaint):
        settings(more, **columns)


def test_whatever_the_format_a_clip_becomes_a_spectrogram(tmp_path, settings):
    """Stereo, 24 bit, 8 to 96 kHz, clips shorter than a window, FLAC and Ogg Vorbis."""
    folder = tmp_path / "data" / "own"
    names = []
    for quirk in range(len(trees.QUIRKS)):
        trees.put(folder / f"{quirk}.wav", trees.wav(quirk, seconds=0.01 + 0.2 * quirk))
        names.append(f"{quirk}.wav")
    for name in ("a.flac", "b.ogg"):
        soundfile.write(folder / name, 0.1 * np.ones((4000, 2)), 16_000)
        names.append(name)
    trees.put_table(folder / "clips.csv", "file,label", [[n, i % 2] for i, n in enumerate(names)])
    places = Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")
    _, raw = prepare(settings(), places)
    assert raw.shape == (8, 20, 128)
    assert np.isfinite(raw).all()
    assert not raw[0].any()  # a hundredth of a second is padding only
    assert raw[5].all()


def test_spoken_digits_by_a_table(shared_data, tmp_path, settings):
    """Four speakers say each digit 50 times; takes 0 to 4 are the official test."""
    folder = tmp_path / "data" / "own"
    folder.mkdir(parents=True)
    (folder / "recordings").symlink_to(shared_data / "fsdd" / "recordings")
    rows = []
    for path in sorted((folder / "recordings").glob("*.wav")):
        digit, speaker, take = path.stem.split("_")
        part = "test" if int(take) < 5 else "validation" if int(take) < 10 else "train"
        rows.append([f"recordings/{path.name}", digit, speaker, part])
    trees.put_table(folder / "digits.csv", "path,digit,speaker,part", rows)
    columns = {"file": "digits.csv", "path": "path", "label": "digit", "part": "part"}
    one = settings({"classes": 10, "frames": 100}, **columns)

    corpus = table.read(folder, one)
    assert corpus.classes == tuple("0123456789")
    assert Counter(corpus.labels.tolist()) == dict.fromkeys(range(10), 200)
    parts = split(corpus, one, 0, 0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [1600, 200, 200]
    _, raw = prepare(one, Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache"))
    assert raw.shape == (2000, 100, 128)
    assert np.isfinite(raw).all()

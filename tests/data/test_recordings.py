"""Recordings cut into windows: which there are, their inputs, and on which side they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import trees
from numpy.testing import assert_array_equal

from petl.config import Dataset
from petl.data import decode, features, load
from petl.data.cache import cached_inputs
from petl.data.corpus import Corpus
from petl.data.features import Recipe
from petl.data.folds import check_apart
from petl.data.splits import NAMES, Split, split
from petl.errors import UserError
from petl.places import Places

SECONDS = (1.0, 1.25, 0.61, 1.1, 0.9, 1.0)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Six recordings with a number each, in a table."""
    rng = np.random.default_rng(0)
    for number, seconds in enumerate(SECONDS):
        file = tmp_path / "data" / "songs" / f"{number}.wav"
        trees.put(file)
        soundfile.write(file, 0.1 * rng.standard_normal(int(16_000 * seconds)), 16_000)
    rows = [[f"{number}.wav", number / 10] for number in range(len(SECONDS))]
    trees.put_table(tmp_path / "data" / "songs" / "songs.csv", "file,mood", rows)
    return Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")


def dataset(windows: dict[str, Any], **changes: Any) -> Dataset:
    settings = {
        "corpus": "songs",
        "layout": "table",
        "table": {"file": "songs.csv", "path": "file"},
        "targets": ["mood"],
        "folds": 3,
        "frames": 30,
        "split": "k-fold",
        "statistics": "training-split",
        "spec_augment": None,
    }
    return Dataset.model_validate(settings | {"windows": windows} | changes)


def starts(corpus: Corpus) -> list[list[float]]:
    return [
        [clip.start for clip in corpus.clips if clip.file == f"{number}.wav"]
        for number in range(len(SECONDS))
    ]


def test_windows_stand_end_to_end_or_every_hop_or_in_the_middle(places: Places) -> None:
    found = load.read(dataset({"length": 0.3}), places)
    assert starts(found)[:3] == [[0, 0.3, 0.6], [0, 0.3, 0.6, 0.9], [0, 0.3]]
    found = load.read(dataset({"length": 0.6, "hop": 0.2}), places)
    assert starts(found)[:3] == [[0, 0.2, 0.4], [0, 0.2, 0.4, 0.6], [0]]
    found = load.read(dataset({"length": 0.5, "take": "middle"}), places)
    assert starts(found)[:2] == [[0.25], [0.38]]
    assert_array_equal(found.targets.ravel(), np.arange(6, dtype=np.float32) / 10)
    assert found.songs.tolist() == list(range(6))


def test_a_recording_shorter_than_a_window_is_refused_or_padded(places: Places) -> None:
    with pytest.raises(UserError, match=r"2\.wav: 0\.6 s long, shorter than a window of 0\.8 s"):
        load.read(dataset({"length": 0.8}), places)
    found = load.read(dataset({"length": 0.8, "shorter": "padded"}), places)
    assert starts(found)[2] == [0]
    padded = next(Recipe(80).inputs([clip for clip in found.clips if clip.file == "2.wav"]))
    assert padded[:58].any(axis=1).all() and not padded[60:].any()


@pytest.mark.parametrize("form", ["spectrogram", "waveform"])
def test_a_window_is_that_part_of_the_recording(places: Places, form: Any) -> None:
    recipe = Recipe(30, form)
    found = load.read(dataset({"length": 0.3, "hop": 0.1}), places)
    inputs = cached_inputs(found.clips, recipe, places.cache).inputs
    assert len(inputs) == len(found.clips)
    for clip, cached in zip(found.clips, inputs, strict=True):
        first = round(16_000 * clip.start)
        assert_array_equal(cached, recipe.input(decode.read(clip.path)[first:][:4800]))


def test_a_recording_is_decoded_once_for_all_its_windows(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: Counter[str] = Counter()
    read = features.read

    def counted(path: Path, *more: Any) -> np.ndarray:
        decoded[path.name] += 1
        return read(path, *more)

    monkeypatch.setattr(features, "read", counted)
    found = load.read(dataset({"length": 0.3, "hop": 0.1}), places)
    cached_inputs(found.clips, Recipe(30), places.cache)
    assert decoded == {f"{number}.wav": 1 for number in range(6)}


def test_other_windows_are_other_inputs(places: Places) -> None:
    def inputs(**windows: float) -> np.ndarray:
        clips = load.read(dataset(windows), places).clips
        return cached_inputs(clips, Recipe(30), places.cache).inputs[:3]

    assert not np.array_equal(inputs(length=0.3), inputs(length=0.3, hop=0.2))
    assert not np.array_equal(inputs(length=0.3), inputs(length=0.25))


@pytest.mark.parametrize("fold", range(3))
def test_windows_go_where_their_recording_goes(places: Places, fold: int) -> None:
    chosen = dataset({"length": 0.3, "hop": 0.1})
    found = load.read(chosen, places)
    whole = split(found, chosen, fold, 0)
    sides = [set(found.songs[getattr(whole, name)]) for name in NAMES]
    assert [len(side) for side in sides] == [2, 2, 2]
    assert set.union(*sides) == set(range(6))
    assert sum(len(getattr(whole, name)) for name in NAMES) == len(found.clips)
    # As the recordings would be split without windows.
    apart = split(load.read(dataset(None), places), dataset(None), fold, 0)
    assert [set(getattr(apart, name)) for name in NAMES] == sides


def test_a_split_that_tears_a_recording_apart_is_refused(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = dataset({"length": 0.3})
    found = load.read(chosen, places)
    torn = Split(np.array([0]), np.array([1]), np.array([4, 5]))
    with pytest.raises(UserError, match=r"file '0\.wav' is in train .*@0\) and in validation"):
        check_apart(found, vars(torn), "file")
    same = Split(np.array([0]), np.array([4, 5]), np.array([4, 5]))
    check_apart(found, vars(same), "file")  # those that validate also test


def test_windows_at_random_is_the_one_split_that_tears_songs_apart(places: Places) -> None:
    chosen = dataset({"length": 0.3, "hop": 0.1}, split="windows-at-random")
    found = load.read(chosen, places)
    whole = split(found, chosen, 0, 0)
    assert set(found.songs[whole.train]) & set(found.songs[whole.test])
    with pytest.raises(UserError, match=r"is in train .* and in"):
        check_apart(found, vars(whole), "file")


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ({"length": 2.0, "hop": 3.0}, "hop is 3 s, longer than the window of 2 s"),
        ({"length": 2.0, "hop": 1.0, "take": "middle"}, "hop is not used with 'take: middle'"),
        (None, "'windows-at-random' needs dataset.windows"),
    ],
)
def test_settings_that_contradict_each_other(windows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset(windows, split="windows-at-random")

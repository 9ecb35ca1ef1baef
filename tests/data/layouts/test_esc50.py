from __future__ import annotations

import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from petl.config import AST, SPLITS, Statistics, Task
from petl.config.dataset import Layout
from petl.data.cache import cached_inputs
from petl.data.features import Recipe
from petl.data.layouts import esc50
from petl.data.load import load, prepare
from petl.errors import UserError
from petl.places import Places


def places(tmp_path: Path, data: Path) -> Places:
    return Places(runs=tmp_path / "runs", data=data, cache=tmp_path / "cache")


def task(dataset, fold: int = 0) -> Task:
    """Only these matter here."""
    backbone = AST.model_construct(family="ast")
    return Task.model_construct(dataset=dataset, backbone=backbone, fold=fold, seed=0)


def test_clips_keep_the_files_order_and_targets_become_ranks(tiny, dataset):
    corpus = esc50.read(tiny, dataset())
    assert corpus.classes == ("cow", "chainsaw")
    assert corpus.targets.tolist() == [1, 0] * 5
    assert corpus.folds.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert corpus.clips[0].file == "audio/1-141-A-41.wav"


def test_a_wrong_number_of_classes_names_file_and_numbers(tiny, dataset):
    with pytest.raises(UserError, match=r"esc50\.csv: 2 classes, but dataset\.classes is 10"):
        esc50.read(tiny, dataset(classes=10))


def test_a_wrong_number_of_folds_names_file_and_numbers(tiny, dataset):
    with pytest.raises(UserError, match=r"folds 1, 2, 3, 4, 5, but dataset\.folds is 4"):
        esc50.read(tiny, dataset(folds=4))


def test_missing_clips_are_listed(tiny, dataset):
    (tiny / "audio" / "3-33-A-3.wav").unlink()
    with pytest.raises(UserError, match=r"1 of 10 clips are missing: audio/3-33-A-3\.wav"):
        esc50.read(tiny, dataset())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("filename,fold", "file,fold", "no column filename"),
        ("1-13-A-3.wav,1,3", "1-13-A-3.wav,one,3", "line 3: fold 'one'"),
        ("1-13-A-3.wav,1,3", "1-13-A-3.wav", "line 3: fold 'cow'"),
        ("1-13-A-3.wav,1,3", "../1-13-A-3.wav,1,3", "line 3: filename"),
    ],
)
def test_a_broken_table_names_its_line(tiny, dataset, old, new, complaint):
    table = tiny / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(UserError, match=complaint):
        esc50.read(tiny, dataset())


def test_a_folder_without_a_table_names_it(tmp_path, dataset):
    with pytest.raises(UserError, match=r"meta/esc50\.csv: no such file"):
        esc50.read(tmp_path, dataset())


def test_a_missing_folder_says_where_it_should_be(tiny, tmp_path, dataset):
    with pytest.raises(UserError) as error:
        prepare(dataset(corpus="esc50"), places(tmp_path, tiny.parent))
    message = str(error.value)
    assert message.startswith(f"{tiny.parent / 'esc50'}: no such folder")
    assert "run `petl data fetch esc50`, or put esc50 there in its esc50 layout" in message
    assert "--data or PETL_DATA" in message
    assert message.endswith(f"{tiny.parent} holds tiny")
    assert "\n" not in message


def test_every_layout_has_a_reader():
    """Its module has its name, so that a new layout is one module and one line in SPLITS."""
    assert get_args(Layout) == tuple(SPLITS)
    for layout in SPLITS:
        module = import_module(f"petl.data.layouts.{layout.replace('-', '_')}")
        assert callable(module.read)


def test_training_split_statistics_do_not_see_the_other_clips(tiny, tmp_path, dataset):
    found = load(task(dataset(), fold=2), places(tmp_path, tiny.parent))
    seen = np.asarray(found.inputs[found.split.train], dtype=np.float64)
    assert len(seen) == 6
    assert found.statistics.mean == pytest.approx(seen.mean())
    assert found.statistics.std == pytest.approx(seen.std())


def test_given_statistics_stay_as_they_are(tiny, tmp_path, dataset):
    given = {"mean": -4.268, "std": 4.569}
    found = load(task(dataset(statistics=given)), places(tmp_path, tiny.parent))
    assert found.statistics == Statistics.model_validate(given)


def test_real_recordings_load(shared_data, tmp_path, dataset, capsys):
    """ESC-10 has 40 clips of each of ten classes; twenty of them show the speed of a cold cache."""
    corpus = esc50.read(shared_data / "esc10", dataset(corpus="esc10", classes=10))
    assert len(corpus.clips) == 400
    assert set(Counter(corpus.targets.tolist()).values()) == {40}
    assert set(Counter(corpus.folds.tolist()).values()) == {80}
    assert corpus.classes[0] == "dog"
    assert corpus.classes[-1] == "chainsaw"

    start = time.perf_counter()
    raw = cached_inputs(corpus.clips[::20], Recipe(500), tmp_path).inputs
    speed = len(raw) / (time.perf_counter() - start)
    with capsys.disabled():
        print(f"\n[cold cache: {speed:.0f} five-second clips per second]", end=" ")
    assert np.isfinite(raw).all()

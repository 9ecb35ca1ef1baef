from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from petl.data.load import prepare
from petl.data.synthetic import quickstart as sounds
from petl.data.synthetic.pretraining import KINDS, pretraining_sounds
from petl.places import Places


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / sounds.NAME
    sounds.make_corpus(folder, takes=2)
    return folder


def test_the_corpus_is_16_bit_mono_and_one_second_long(made):
    files = sorted((made / "audio").iterdir())
    assert len(files) == 5 * 10 * 2
    for file in files:
        info = soundfile.info(file)
        found = (info.format, info.subtype, info.channels, info.samplerate, info.frames)
        assert found == ("WAV", "PCM_16", 1, 16000, 16000)


def test_the_corpus_is_the_same_each_time(made, tmp_path):
    sounds.make_corpus(tmp_path / "again", takes=2)
    assert contents(tmp_path / "again") == contents(made)


def test_a_clip_does_not_depend_on_how_many_there_are(made, tmp_path):
    sounds.make_corpus(tmp_path / "few", folds=1, takes=1)
    few, all_of_them = contents(tmp_path / "few" / "audio"), contents(made / "audio")
    assert len(few) == 10
    assert few.items() <= all_of_them.items()


def test_another_seed_gives_other_clips(made, tmp_path):
    sounds.make_corpus(tmp_path / "other", seed=11, folds=1, takes=1)
    other, same = contents(tmp_path / "other" / "audio"), contents(made / "audio")
    assert not any(same[file] == data for file, data in other.items())


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    sounds.make_corpus(tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_two_makers_at_once_leave_one_whole_corpus(made, tmp_path):
    folder = tmp_path / "data" / sounds.NAME
    with ThreadPoolExecutor(2) as pool:
        for maker in [pool.submit(sounds.make_corpus, folder, takes=2) for _ in range(2)]:
            maker.result()
    assert [entry.name for entry in folder.parent.iterdir()] == [sounds.NAME]
    assert contents(folder) == contents(made)


def test_the_quickstart_finds_its_sounds_made(tmp_path, dataset):
    here = Places(runs=tmp_path / "runs", data=tmp_path / "data", cache=tmp_path / "cache")
    corpus, raw = prepare(dataset(corpus=sounds.NAME, classes=10, frames=100), here)
    assert raw.shape == (500, 100, 128)
    assert np.bincount(corpus.labels).tolist() == [50] * 10
    assert corpus.classes[:2] == ("steady_tone", "rising_chirp")
    assert "made these files itself" in (corpus.folder / "README.txt").read_text()


def test_no_clip_is_silent_or_clipped():
    for target, recipe in enumerate((*sounds.CLASSES, *KINDS)):
        for take in range(5):
            waveform = sounds.clip(np.random.default_rng((target, take)), recipe)
            assert waveform.shape == (16000,)
            assert 0.01 < np.abs(waveform).max() < 1
            assert np.isfinite(waveform).all()


def test_pretraining_sounds_are_labelled_reproducible_and_other_kinds():
    waveforms, labels = pretraining_sounds(np.random.default_rng(0), 200)
    again, _ = pretraining_sounds(np.random.default_rng(0), 200)
    assert waveforms.dtype == np.float32
    np.testing.assert_array_equal(waveforms, again)
    assert set(labels.tolist()) == set(range(20))
    assert not {k.__name__ for k in KINDS} & {c.__name__ for c in sounds.CLASSES}

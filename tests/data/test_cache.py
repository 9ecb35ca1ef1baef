from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from petl.claim import Claim
from petl.data import cache, esc50, features
from petl.data.features import Recipe
from petl.errors import UserError


@pytest.fixture
def clips(tiny, dataset):
    return esc50.read(tiny, dataset()).clips


def spectrograms(clips, frames: int, folder: Path, progress=None) -> np.ndarray:
    return cache.cached_inputs(clips, Recipe(frames), folder, progress).inputs


def published(folder: Path) -> list[str]:
    return sorted(entry.name for entry in (folder / "features").iterdir())


def test_spectrograms_come_in_the_order_of_the_clips(clips, tmp_path):
    raw = spectrograms(clips, 20, tmp_path)
    assert raw.shape == (10, 20, 128)
    assert raw.dtype == np.float32
    for row, clip in zip(raw, clips, strict=True):
        expected = features.spectrogram(features.read(clip.path), 20)
        np.testing.assert_allclose(row, expected, atol=1e-4)


def test_the_second_to_ask_finds_what_the_first_computed(clips, tmp_path, monkeypatch):
    first = spectrograms(clips, 20, tmp_path)
    monkeypatch.setattr(cache, "_compute", None)
    np.testing.assert_array_equal(spectrograms(clips, 20, tmp_path), first)


def test_the_map_cannot_be_written_to(clips, tmp_path):
    with pytest.raises(ValueError, match="read-only"):
        spectrograms(clips, 20, tmp_path)[0] = 0


def test_progress_counts_every_clip(clips, tmp_path):
    seen = []
    spectrograms(clips, 20, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 10) for n in range(1, 11)]


def test_another_length_is_another_file(clips, tmp_path):
    spectrograms(clips, 20, tmp_path)
    assert spectrograms(clips, 10, tmp_path).shape == (10, 10, 128)
    assert len(published(tmp_path)) == 2


def test_a_changed_clip_is_never_served_stale(clips, tmp_path):
    before = np.array(spectrograms(clips, 20, tmp_path))
    data = bytearray(clips[4].path.read_bytes())
    data[-2000:] = bytes(2000)
    clips[4].path.write_bytes(data)  # of the same size
    changed = np.flatnonzero((spectrograms(clips, 20, tmp_path) != before).any(axis=(1, 2)))
    assert changed.tolist() == [4]


def test_a_moved_corpus_keeps_its_cache(tiny, dataset, tmp_path):
    before = cache.key(esc50.read(tiny, dataset()).clips, Recipe(20))
    moved = tiny.rename(tmp_path / "elsewhere")
    assert cache.key(esc50.read(moved, dataset()).clips, Recipe(20)) == before


@pytest.mark.parametrize("size", [0, 50, 5000])
def test_a_truncated_file_is_made_again(size, clips, tmp_path):
    whole = np.array(spectrograms(clips, 20, tmp_path))
    os.truncate(next((tmp_path / "features").glob("*.npy")), size)
    np.testing.assert_array_equal(spectrograms(clips, 20, tmp_path), whole)


def test_torch_has_its_threads_back_afterwards(clips, tmp_path):
    before = torch.get_num_threads()
    spectrograms(clips, 20, tmp_path)
    assert torch.get_num_threads() == before


def test_broken_clips_are_listed_and_nothing_is_left_behind(clips, tmp_path):
    for clip in clips[:7]:
        clip.path.write_bytes(b"no sound")
    with pytest.raises(UserError) as error:
        spectrograms(clips, 20, tmp_path)
    message = str(error.value)
    assert message.startswith("7 of 10 clips unreadable")
    assert all(str(clip.path) in message for clip in clips[:5])
    assert str(clips[5].path) not in message
    assert message.endswith("and 2 more")
    assert published(tmp_path) == []


def test_a_clip_that_went_away_is_named(clips, tmp_path):
    clips[2].path.unlink()
    with pytest.raises(UserError, match=clips[2].path.name):
        spectrograms(clips, 20, tmp_path)


def test_a_cache_that_cannot_be_made_is_named(clips, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="PETL_CACHE"):
        spectrograms(clips, 20, tmp_path / "file")


def test_what_a_killed_process_left_goes_away(clips, tmp_path):
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / f".{cache.key(clips, Recipe(20))}.0badcafe").write_bytes(b"half")
    spectrograms(clips, 20, tmp_path)
    assert published(tmp_path) == [f"{cache.key(clips, Recipe(20))}.npy"]


def test_whoever_comes_second_waits_for_the_first(clips, tmp_path, caplog):
    (tmp_path / "features").mkdir()
    claim = tmp_path / "features" / f"{cache.key(clips, Recipe(20))}.claim"
    with Claim(claim):
        waiter = threading.Thread(target=spectrograms, args=(clips, 20, tmp_path))
        waiter.start()
        time.sleep(3 * cache.POLL_S)
        assert waiter.is_alive()
        assert "waiting for another process" in caplog.text
    waiter.join(timeout=10)
    assert published(tmp_path) == [f"{cache.key(clips, Recipe(20))}.npy"]


def test_waiting_ends(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "WAIT_S", 0.3)
    (tmp_path / "features").mkdir()
    with (
        Claim(tmp_path / "features" / f"{cache.key(clips, Recipe(20))}.claim"),
        pytest.raises(UserError, match="another process has been computing"),
    ):
        spectrograms(clips, 20, tmp_path)

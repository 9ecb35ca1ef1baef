from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch

from petl.data import cache, decode, features
from petl.data.corpus import Clip
from petl.data.features import Recipe
from petl.data.layouts import esc50
from petl.data.load import pooled
from petl.errors import UserError
from petl.runs.claim import Claim


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
        expected = features.spectrogram(decode.read(clip.path), 20)
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


def damage(how: str, file: Path) -> None:
    data = bytearray(file.read_bytes())
    numbers = data.index(b"\n") + 1
    middle = numbers + 10 * 20 * 128 * 4 // 2
    if how == "a zero-filled tail":  # what a crash leaves where the file system had not written
        data[-5000:] = bytes(5000)
    elif how == "one flipped bit":
        data[middle] ^= 1
    elif how == "another header":
        data[:numbers] = data[:numbers].replace(b"(10, 20, 128)", b"(20, 10, 128)")
    elif how == "a header of zeros":
        data[:numbers] = bytes(numbers)
    elif how == "a lost page":
        del data[middle : middle + 4096]
    elif how == "more behind its end":
        data += b"more"
    elif how == "empty":
        data.clear()
    file.write_bytes(data)


@pytest.mark.parametrize(
    "how",
    [
        "a zero-filled tail",
        "one flipped bit",
        "another header",
        "a header of zeros",
        "a lost page",
        "more behind its end",
        "empty",
    ],
)
def test_a_damaged_file_is_noticed_and_made_again(how, clips, tmp_path, caplog):
    whole = np.array(spectrograms(clips, 20, tmp_path))
    file = next((tmp_path / "features").glob("*.npy"))
    before = file.read_bytes()
    damage(how, file)
    assert file.read_bytes() != before
    np.testing.assert_array_equal(spectrograms(clips, 20, tmp_path), whole)
    assert caplog.text.count(f"{file} is damaged") == 1
    assert file.read_bytes() == before


def test_a_large_file_is_checked_at_its_ends_and_here_and_there(clips, tmp_path, monkeypatch):
    whole = np.array(spectrograms(clips, 20, tmp_path))
    monkeypatch.setattr(cache, "CHECKED", 3 * whole[0].nbytes)
    checked = []
    monkeypatch.setattr(cache, "crc32", lambda data: checked.append(data) or crc32(data))
    spectrograms(clips, 20, tmp_path)
    assert [data.tobytes() for data in checked[1:]] == [whole[i].tobytes() for i in (0, 4, 9)]


def test_the_file_is_one_that_numpy_reads(clips, tmp_path):
    ours = spectrograms(clips, 20, tmp_path)
    np.testing.assert_array_equal(np.load(next((tmp_path / "features").glob("*.npy"))), ours)


def test_forms_channels_and_lengths_never_mix(clips, tmp_path):
    recipes = [
        Recipe(frames, form, channel)
        for frames in (20, 10)
        for form in ("spectrogram", "waveform")
        for channel in ("mean", "left")
    ]
    for _ in range(2):
        for recipe in recipes:
            found = cache.cached_inputs(clips, recipe, tmp_path).inputs
            np.testing.assert_array_equal(found[3], recipe(clips[3].path))
    assert len(published(tmp_path)) == len(recipes)


def test_statistics_are_those_of_all_numbers_in_float64(clips, tmp_path):
    cached = cache.cached_inputs(clips, Recipe(20), tmp_path)
    some = np.array([0, 3, 4, 8])
    seen = cached.inputs[some].astype(np.float64)
    ours = pooled(cached.clips[some])
    assert ours.mean == pytest.approx(seen.mean(), rel=1e-12)
    assert ours.std == pytest.approx(seen.std(), rel=1e-12)


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
    assert message.startswith("7 of 10 clips could not be decoded")
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
        pytest.raises(UserError, match="another process computes it, without progress"),
    ):
        spectrograms(clips, 20, tmp_path)


# --- several processes at once --------------------------------------------------------------------

PREPARE = """
import sys, time
from pathlib import Path
from petl.data import cache
from petl.data.corpus import Clip
from petl.data.features import Recipe
data, folder, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
compute = cache._compute
def counted(wanted, claim, progress):
    def slow(done, total):
        print("clip", done, flush=True)
        time.sleep(pause)
    print("computes", flush=True)
    compute(wanted, claim, slow)
cache._compute = counted
clips = [Clip(path.name, path) for path in sorted(data.glob('audio/*'))]
print("ready", flush=True)
sys.stdin.readline()
print(cache.cached_inputs(clips, Recipe(20), folder).inputs.tobytes().hex())
"""


def preparer(data: Path, folder: Path, pause: float = 0.0) -> subprocess.Popen[str]:
    """A process that has imported everything and waits for a line to begin."""
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, data, folder, str(pause)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def begin(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


@pytest.mark.slow
def test_of_four_processes_one_computes_and_all_read_the_same(tiny, tmp_path):
    four = [preparer(tiny, tmp_path, pause=0.02) for _ in range(4)]
    begin(*four)
    said = [process.communicate(timeout=60)[0].split("\n") for process in four]
    assert sum("computes" in lines for lines in said) == 1
    assert len({lines[-2] for lines in said}) == 1
    assert len(said[0][-2]) == 2 * 10 * 20 * 128 * 4
    assert [Path(name).suffix for name in published(tmp_path)] == [".npy"]


def test_when_the_computing_process_is_killed_another_takes_over(tiny, tmp_path):
    first, second = preparer(tiny, tmp_path, pause=0.3), preparer(tiny, tmp_path)
    begin(first)
    while first.stdout.readline() != "clip 3\n":
        assert first.poll() is None
    begin(second)
    time.sleep(2 * cache.POLL_S)
    assert second.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait(timeout=10)
    lines = second.communicate(timeout=60)[0].split("\n")
    assert "computes" in lines
    clips = [Clip(path.name, path) for path in sorted(tiny.glob("audio/*"))]
    assert lines[-2] == spectrograms(clips, 20, tmp_path).tobytes().hex()
    assert published(tmp_path) == [f"{cache.key(clips, Recipe(20))}.npy"]

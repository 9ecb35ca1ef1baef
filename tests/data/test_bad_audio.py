"""What a user's folder may hold instead of sound, and a cache that cannot be written."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from petl.data import cache
from petl.data.decode import read
from petl.data.features import Recipe
from petl.data.layouts import esc50
from petl.errors import UserError

ROOT = Path(__file__).parents[2]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, shape)


def complaint(file: Path) -> str:
    """One line that starts with the file."""
    with pytest.raises(UserError) as error:
        read(file)
    message = str(error.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


# --- files ----------------------------------------------------------------------------------------


def test_eight_channels_are_averaged(tmp_path):
    channels = noise(16000, 8)
    soundfile.write(tmp_path / "a.wav", channels, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read(tmp_path / "a.wav"), channels.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE", "MS_ADPCM"])
def test_every_usual_kind_of_wav_is_read(subtype, tmp_path):
    tone = 0.5 * np.sin(np.arange(16000) / 5)
    soundfile.write(tmp_path / "a.wav", tone, 16000, subtype=subtype)
    assert np.sqrt(np.mean((read(tmp_path / "a.wav")[:16000] - tone) ** 2)) < 0.01


@pytest.mark.parametrize("content", [b"no sound at all", b"RIFF\x24\0\0\0WAVEfmt ", b"\0" * 4096])
def test_a_corrupt_file(content, tmp_path):
    (tmp_path / "a.wav").write_bytes(content)
    assert complaint(tmp_path / "a.wav")


def test_the_reason_does_not_depend_on_what_other_threads_open(tmp_path):
    """libsndfile has one error code for all of them."""
    soundfile.write(tmp_path / "good.wav", noise(1600), 16000)
    (tmp_path / "bad.wav").write_text("no sound")

    def reason_of_every_tenth(number: int) -> str:
        if number % 10:
            return "" if len(read(tmp_path / "good.wav")) else "no samples"
        return complaint(tmp_path / "bad.wav")

    with ThreadPoolExecutor(4) as pool:
        reasons = set(pool.map(reason_of_every_tenth, range(4000)))
    assert reasons == {"", "libsndfile cannot decode it: Format not recognised."}


def test_an_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    assert complaint(tmp_path / "a.wav") == "the file is empty"


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.au"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_a_file_that_was_cut_short(name, share, tmp_path):
    file = tmp_path / name
    soundfile.write(file, noise(44100), 44100)
    assert len(read(file)) == 16000
    os.truncate(file, int(file.stat().st_size * share))
    assert complaint(file)


def test_a_cut_wav_says_how_much_is_missing(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(16000), 16000)
    os.truncate(tmp_path / "a.wav", 44 + 20000)
    assert complaint(tmp_path / "a.wav") == (
        "cut short, its header announces 32000 bytes of sound, but it has 20000"
    )


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 32002])
def test_a_wav_from_a_stream_or_a_sloppy_recorder_is_read(length, tmp_path):
    """What writes into a pipe cannot know the length, and says so by a huge one."""
    soundfile.write(tmp_path / "a.wav", noise(16000), 16000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[40:44] = struct.pack("<I", length)
    (tmp_path / "a.wav").write_bytes(data)
    assert len(read(tmp_path / "a.wav")) == 16000


def test_a_wav_of_length_zero(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 44100)
    assert complaint(tmp_path / "a.wav") == "the file has 0 samples"


def test_a_wav_of_one_sample_is_padding(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.ones(1), 44100)
    assert not Recipe(20)(tmp_path / "a.wav").any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number(value, tmp_path):
    samples = noise(16000, 2)
    samples[123, 1] = value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    assert complaint(tmp_path / "a.wav") == f"sample 123 is {value}, not a finite number"


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "a.wav").mkdir()
    assert complaint(tmp_path / "a.wav") == "is a directory"


def test_a_link_to_nowhere(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert complaint(tmp_path / "a.wav") == "no such file or directory"


def test_a_file_that_may_not_be_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1600), 16000)
    (tmp_path / "a.wav").chmod(0)
    code = "import sys, pathlib; from petl.data.decode import read; read(pathlib.Path('a.wav'))"
    done = run(code, cwd=tmp_path, before=without_privileges)
    assert done.stderr.splitlines()[-1].endswith("a.wav: permission denied")


# --- the cache ------------------------------------------------------------------------------------

PREPARE = """
import sys
from pathlib import Path
from petl.data import cache
from petl.data.corpus import Clip
from petl.data.features import Recipe
from petl.errors import UserError
clips = [Clip(path.name, path) for path in sorted(Path(sys.argv[1]).glob('audio/*'))]
try:
    print(cache.cached_inputs(clips, Recipe(20), Path(sys.argv[2])).inputs.shape)
except UserError as error:
    print(error)
print(sorted(path.name for path in Path(sys.argv[2]).glob("features/*") if path.is_file()))
"""
BYTES = 10 * 20 * 128 * 4


def run(
    code: str, *arguments: object, cwd: Path = ROOT, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        preexec_fn=before,
        timeout=60,
    )


def without_privileges() -> None:
    """Permissions bind root too once it has lost the capabilities to override them."""
    drop_from_bounding_set, override, read_search = 24, 1, 2
    for capability in (override, read_search):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


def half_of_it_fits() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES // 2, BYTES // 2))


@pytest.mark.slow
def test_a_write_that_fails_names_the_cache_and_leaves_nothing(tiny, tmp_path):
    done = run(PREPARE, tiny, tmp_path / "cache", before=half_of_it_fits)
    message, left = done.stdout.splitlines()
    assert message.startswith(f"{tmp_path / 'cache' / 'features'}/")
    assert message.endswith(
        ".npy: file too large (0.1 MB needed); choose another cache with --cache or PETL_CACHE"
    )
    assert left == "[]"
    assert run(PREPARE, tiny, tmp_path / "cache").stdout.startswith("(10, 20, 128)")


def test_a_full_disk_is_noticed_before_the_work(tiny, tmp_path):
    """A real one of 16 KB, in a mount namespace that ends with the process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    namespace = [shutil.which("unshare") or "unshare", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=16k none {disk} && exec "
    shell = ["sh", "-c", mount + '"$@"', "sh"]
    if subprocess.run([*namespace, *shell, "true"], capture_output=True).returncode:
        why = "no file system can be mounted here"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    command = [*namespace, *shell, sys.executable, "-c", PREPARE, tiny, disk]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    message, left = done.stdout.splitlines()
    assert message.startswith(
        f"{disk / 'features'}: 0.0 MB free, 0.1 MB needed; choose another cache"
    )
    assert left == "[]"


def test_a_cache_that_may_not_be_written_is_named(tiny, tmp_path):
    folder = tmp_path / "cache" / "features"
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    done = run(PREPARE, tiny, tmp_path / "cache", before=without_privileges)
    assert done.stdout.splitlines() == [
        f"{folder}: permission denied; choose another cache with --cache or PETL_CACHE",
        "[]",
    ]


def test_a_cache_that_may_not_be_written_can_be_read(tiny, tmp_path):
    assert run(PREPARE, tiny, tmp_path / "cache").stdout.startswith("(10, 20, 128)")
    (tmp_path / "cache" / "features").chmod(0o555)
    done = run(PREPARE, tiny, tmp_path / "cache", before=without_privileges)
    assert done.stdout.startswith("(10, 20, 128)")


def test_bad_clips_of_every_kind_are_listed_in_one_line(tiny, dataset, tmp_path):
    clips = esc50.read(tiny, dataset()).clips
    clips[0].path.write_bytes(b"")
    os.truncate(clips[3].path, 1000)
    soundfile.write(clips[5].path, np.zeros(0), 16000)
    with pytest.raises(UserError) as error:
        cache.cached_inputs(clips, Recipe(20), tmp_path)
    message = str(error.value)
    assert message.startswith("3 of 10 clips could not be decoded: ")
    for clip, why in ((0, "the file is empty"), (3, "cut short"), (5, "0 samples")):
        assert f"{clips[clip].path}: " in message
        assert why in message
    assert "\n" not in message
    assert list((tmp_path / "features").iterdir()) == []

"""A recording of a few bytes cannot make a job decode for hours or fill its memory."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from petl.data import decode
from petl.errors import UserError

LIMIT_MB, LIMIT_S = 1000, 10
READ = """
import resource, sys
from pathlib import Path
from petl.data import check, decode
from petl.data.corpus import Clip
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (lambda p: decode.read(p), lambda p: decode.read(p, samples=16000)):
    try:
        print("samples", len(read(Path(sys.argv[1]))))
    except Exception as error:
        print(type(error).__name__, str(error))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def read_in_a_process(path: Path) -> tuple[list[str], int]:
    """What reading it answers, and the megabytes that it took, in at most ten seconds."""
    command = [sys.executable, "-c", READ, str(path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S + 10, cwd=root)
    assert done.returncode == 0, done.stderr
    *answers, kilobytes = done.stdout.splitlines()
    return answers, int(kilobytes) // 1024


def wav(path: Path, rate: int = 16_000, channels: int = 1, frames: int = 100) -> Path:
    """By hand: a header says what it likes."""
    data = bytes(frames * channels * 2)
    header = struct.pack("<HHIIHH", 1, channels, rate, rate * 2 & 0xFFFFFFFF, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header
    body += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_a_sample_rate_that_no_recorder_has_is_refused(tmp_path: Path, rate: int) -> None:
    path = wav(tmp_path / "a.wav", rate, frames=100_000)
    with pytest.raises(UserError, match=r"a\.wav: its sample rate is .* Hz; petl reads 1000 to"):
        decode.read(path)
    answers, megabytes = read_in_a_process(path)
    assert megabytes < LIMIT_MB and all(answer.startswith("UserError") for answer in answers)


def test_a_thousand_channels_are_refused(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", channels=1000, frames=100)
    with pytest.raises(UserError, match="it has 1000 channels; petl reads at most 64"):
        decode.read(path)


def test_an_mp3_that_announces_22_gigabytes_is_decoded_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 22_050), 22_050, format="MP3")
    content = bytearray(path.read_bytes())
    at = max(content.find(b"Xing"), content.find(b"Info"))
    assert at > 0, "an mp3 without a header that counts its frames"
    content[at + 8 : at + 12] = struct.pack(">I", 2_600_000)  # of 1152 samples of 8 bytes
    path.write_bytes(content)
    with soundfile.SoundFile(path) as sound:
        assert sound.frames > 10**9, "the attack announces nothing"
    answers, megabytes = read_in_a_process(path)
    assert megabytes < LIMIT_MB, answers


def test_ordinary_recordings_are_read_as_before_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (44_100, 2))
    soundfile.write(tmp_path / "a.wav", noise, 44_100, subtype="FLOAT")
    whole = decode.read(tmp_path / "a.wav")
    monkeypatch.setattr(decode, "BLOCK", 1000)
    assert np.array_equal(decode.read(tmp_path / "a.wav"), whole)
    assert np.array_equal(decode.read(tmp_path / "a.wav", samples=500), whole[:500])

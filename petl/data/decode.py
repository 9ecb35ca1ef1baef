"""From a sound file to a waveform: decoding, mixing, resampling, and refusals of damaged files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from petl.config.dataset import Channel
from petl.config.front_end import RATE
from petl.data.resample import resample, samples_needed
from petl.errors import UserError, reason

MISSING = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
"""How libsndfile logs that a header announces more bytes than the file has."""
NO_LENGTH = 0x7FFF0000
"""What a header announces, or more, when it was written to a stream before the end was known."""
RATES, CHANNELS = (1_000, 768_000), 64
BLOCK = 2**18
"""Frames decoded at a time."""
TRIES = 100
"""For the reason why a file does not open. With many threads, up to half of them may fail."""

log = logging.getLogger(__name__)


def read(
    path: Path, channel: Channel = "mean", samples: int | None = None, to: int = RATE
) -> np.ndarray:
    """A mono float32 waveform at 16 kHz or another rate: all of it, or at most the first samples.

    It is resampled in float64, as in the released code.
    """
    with opened(path) as sound:
        rate = sound.samplerate
        wanted = None if samples is None else samples_needed(samples, rate, to)
        mono = [mixed(block, channel) for block in blocks(path, sound, wanted)]
        has, announced = sum(map(len, mono)), sound.frames
    if ends_early(has, announced if wanted is None else min(wanted, announced)):
        why = f"{has / rate:.1f} s of sound, but its header announces {announced / rate:.1f} s"
        log.warning("%s: ends early: %s", path, why)
    return resample(np.concatenate(mono), rate, to)[:samples].astype(np.float32)


def ends_early(samples: int, announced: int) -> bool:
    """libsndfile decodes an MP3 that was cut short without an error."""
    return samples < 0.99 * announced


def mixed(block: np.ndarray, channel: Channel) -> np.ndarray:
    if channel == "left" or block.shape[1] == 1:
        return block[:, 0]
    # numpy takes ten times as long for a mean over two
    return block.mean(axis=1) if block.shape[1] > 2 else (block[:, 0] + block[:, 1]) / 2


def blocks(
    path: Path, sound: soundfile.SoundFile, wanted: int | None = None, dtype: str = "float64"
) -> Iterator[np.ndarray]:
    """The samples (frames, channels), a block at a time, each of them a finite number.

    In one piece, memory would be set aside for as many samples as the header announces: a few bytes
    of a crafted file can announce 20 GB.
    """
    done = 0
    while wanted is None or done < wanted:
        most = BLOCK if wanted is None else min(BLOCK, wanted - done)
        block = sound.read(most, dtype=dtype, always_2d=True)
        if not len(block):
            break
        if not np.isfinite(block).all():
            first = int(np.argmin(np.isfinite(block).all(axis=1)))
            bad = block[first][~np.isfinite(block[first])][0]
            raise UserError(f"{path}: sample {done + first} is {bad}, not a finite number")
        done += len(block)
        yield block
    if not done:
        raise UserError(f"{path}: the file has 0 samples")


@contextmanager
def opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """The file, open for reading. Errors name the file."""
    try:
        with soundfile.SoundFile(path) as sound:
            _refuse_odd_header(path, sound)
            _refuse_cut_short(path, sound)
            yield sound
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: {_reason(path, error)}") from None


def _refuse_odd_header(path: Path, sound: soundfile.SoundFile) -> None:
    """Resampling takes memory by the ratio of rates, decoding by the channels."""
    if not RATES[0] <= sound.samplerate <= RATES[1]:
        raise UserError(
            f"{path}: its sample rate is {sound.samplerate} Hz; petl reads {RATES[0]} to "
            f"{RATES[1]} Hz"
        )
    if sound.channels > CHANNELS:
        raise UserError(
            f"{path}: it has {sound.channels} channels; petl reads at most {CHANNELS}, mixed to one"
        )


def _refuse_cut_short(path: Path, sound: soundfile.SoundFile) -> None:
    """libsndfile reads such a file without an error. 1% may be missing: some recorders miscount."""
    if sound.frames > 2**48:  # libsndfile's number for a file without an end
        raise UserError(f"{path}: cut short, its end is missing")
    if logged := MISSING.search(sound.extra_info):
        announced, present = map(int, logged.groups())
        if present < 0.99 * announced and announced < NO_LENGTH:
            raise UserError(
                f"{path}: cut short, its header announces {announced} bytes of sound, but it has "
                f"{present}"
            )


def _reason(path: Path, error: soundfile.LibsndfileError | OSError) -> str:
    """libsndfile's own words are missing or wrong for files that are empty, shut or tiny."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                return "the file is empty"
    except OSError as cause:
        return reason(cause)
    # libsndfile has one error code for all files that fail to open. If another thread opens a file
    # between this failure and soundfile's question for the code, the code is 0. So open it again.
    for _ in range(TRIES):
        if getattr(error, "code", None) != 0:
            break
        try:
            soundfile.SoundFile(path).close()
        except soundfile.LibsndfileError as again:
            error = again
    why = str(getattr(error, "error_string", error))
    return f"libsndfile cannot decode it: {'no sound in it' if 'not exist' in why else why}"

"""Spectrograms are computed once: by whoever comes first, for everybody.

A file's name is a digest of all that its contents depend on, so it is right or it is not there; it
appears under that name only when whole. Runs share it through a read-only memory map.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from petl.claim import Claim, RunIsTaken
from petl.data import features
from petl.data.corpus import Clip, first_few
from petl.errors import UserError

Progress = Callable[[int, int], None]
"""Called with (clips done, clips in all)."""

VERSION = 1
"""To be raised when features.py changes what it computes."""
WAIT_S = 3600.0
POLL_S = 0.2

log = logging.getLogger(__name__)


def spectrograms(
    clips: Sequence[Clip], frames: int, cache: Path, progress: Progress | None = None
) -> np.ndarray:
    """Raw spectrograms (clips, frames, 128), memory-mapped read-only."""
    shape = (len(clips), frames, features.BINS)
    folder = cache / "features"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror}; --cache or PETL_CACHE names another cache"
        ) from None
    file = folder / f"{key(clips, frames)}.npy"
    deadline = time.monotonic() + WAIT_S
    waiting = False
    while (found := _open(file, shape)) is None:
        try:
            with Claim(file.with_suffix(".claim")) as claim:
                if _open(file, shape) is None:
                    _compute(clips, shape, file, claim, progress or (lambda done, total: None))
        except RunIsTaken:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{file}: another process has been computing it for {WAIT_S / 60:.0f} minutes; "
                    f"its claim is {file.with_suffix('.claim')}"
                ) from None
            if not waiting:
                log.warning("waiting for another process, which computes %s", file)
            waiting = True
            time.sleep(POLL_S)
    return found


def key(clips: Sequence[Clip], frames: int) -> str:
    """Size and time stand for a file's contents: reading it would cost what the cache saves."""
    settings = [
        VERSION,
        frames,
        # Two stacks agree, but not to the bit: who was first must not show in a run's numbers.
        [_version(library) for library in ("torch", "soundfile", "resampy")],
    ]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for clip in clips:
        try:
            stat = clip.path.stat()
        except OSError as error:
            raise UserError(f"{clip.path}: {error.strerror}") from None
        digest.update(json.dumps([clip.file, stat.st_size, stat.st_mtime_ns]).encode())
    return digest.hexdigest()[:32]


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _open(file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The spectrograms, or None if there is no file or it is shorter than its header says."""
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.float32 else None


def _compute(
    clips: Sequence[Clip], shape: tuple[int, int, int], file: Path, claim: Claim, progress: Progress
) -> None:
    for leftover in file.parent.glob(f".{file.stem}.*"):
        leftover.unlink(missing_ok=True)  # of a process that was killed: we hold the claim now
    temporary = file.with_name(f".{file.stem}.{secrets.token_hex(4)}")
    broken: list[str] = []
    try:
        # Plain writes, not a writable map: on a full disk they fail where a map kills the process.
        with temporary.open("wb") as out, _rows(clips, shape[1]) as rows:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for done, row in enumerate(rows, start=1):
                if isinstance(row, UserError):
                    broken.append(str(row))
                elif not broken:
                    out.write(row.astype("<f4", copy=False).tobytes())
                claim.touch()
                progress(done, len(clips))
            out.flush()
            os.fsync(out.fileno())
        if broken:
            raise UserError(f"{len(broken)} of {len(clips)} clips unreadable: {first_few(broken)}")
        if file.stem != key(clips, shape[1]):
            raise UserError(f"clips changed while {file} was being computed; start again")
        temporary.replace(file)
    except OSError as error:
        need = np.prod(shape, dtype=float) * 4 / 1e6
        raise UserError(f"{file}: {error.strerror} (it takes {need:.0f} MB)") from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _rows(clips: Sequence[Clip], frames: int) -> Iterator[Iterator[np.ndarray | UserError]]:
    """In order. Threads suffice: decoding, resampling and the FFT all let go of the interpreter.

    Each has one core to itself. torch would spread every small step over all of them, which is
    many times slower where somebody else is at work.
    """

    def row(clip: Clip) -> np.ndarray | UserError:
        try:
            return features.spectrogram(features.read(clip.path), frames)
        except UserError as error:
            return error

    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        yield pool.map(row, clips)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for a thousand clips
        torch.set_num_threads(torch_threads)

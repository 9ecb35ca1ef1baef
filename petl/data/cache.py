"""A model's inputs are computed once: by whoever comes first, for everybody.

A file's name is a digest of all that its contents depend on, so it is right or it is not there; it
appears under that name only when whole. Runs share it through a read-only memory map. It is an
ordinary .npy file with checksums behind the numbers: what a failing disk or a crash made of it is
noticed and computed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import soundfile
import torch

from petl.data.corpus import Clip, first_few
from petl.data.features import Recipe
from petl.errors import UserError, reason
from petl.runs.claim import Claim, RunIsTaken, is_alive

Progress = Callable[[int, int], None]
"""Called with (clips done, clips in all)."""

VERSION = 2
"""To be raised when features.py or resample.py changes what it computes."""
WAIT_S = 3600.0
POLL_S = 0.2
CHECKED = 128 * 2**20
"""Bytes whose checksums are compared when a file is opened: a fraction of a second."""
CLIP = np.dtype([("mean", "<f8"), ("square", "<f8"), ("crc", "<u4")])
"""Of each clip's numbers: mean, mean square, checksum."""
SEAL = np.dtype("<u4")
"""The checksum of all these."""
ELSEWHERE = "--cache or PETL_CACHE names another cache"

log = logging.getLogger(__name__)


class Cached(NamedTuple):
    inputs: np.ndarray
    """(clips, *recipe.shape) in float32, memory-mapped read-only."""
    clips: np.ndarray
    """(clips,) of CLIP."""


def cached_inputs(
    clips: Sequence[Clip], recipe: Recipe, cache: Path, progress: Progress | None = None
) -> Cached:
    """Every clip by the recipe, in order."""
    folder = cache / "features"
    file = folder / f"{key(clips, recipe)}.npy"
    shape = (len(clips), *recipe.shape)
    try:
        while (found := _open(file, shape)) is None:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with Claim(file.with_suffix(".claim")) as claim:
                    if _open(file, shape) is None:
                        _compute(clips, recipe, file, claim, progress or (lambda *_: None))
            except RunIsTaken:
                _wait(file)
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}; {ELSEWHERE}") from None
    return found


def key(clips: Sequence[Clip], recipe: Recipe) -> str:
    """Size and time stand for a file's contents: reading it would cost what the cache saves."""
    settings = [
        VERSION,
        [recipe.form, recipe.frames, recipe.channel],
        # Two stacks agree, but not to the bit: who was first must not show in a run's numbers.
        [torch.__version__, np.__version__, soundfile.__libsndfile_version__],
    ]
    files = []
    for clip in clips:
        try:
            stat = clip.path.stat()
        except OSError as error:
            raise UserError(f"{clip.path}: {reason(error)}") from None
        files.append([clip.file, stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps([settings, files]).encode()).hexdigest()[:32]


# --- reading --------------------------------------------------------------------------------------


def _open(file: Path, shape: tuple[int, ...]) -> Cached | None:
    """None if the file is not there, or is not what was once published under its name.

    A small file is checked to its last byte; of a large one the ends and some clips between.
    """
    try:
        inputs = np.load(file, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    if inputs.shape != shape or inputs.dtype != np.float32:
        return None
    with file.open("rb") as opened:
        opened.seek(inputs.offset + inputs.nbytes)
        behind = opened.read()
    rows, seal = behind[: -SEAL.itemsize], behind[-SEAL.itemsize :]
    if len(rows) != len(inputs) * CLIP.itemsize or _seal(rows) != seal:
        return None
    clips = np.frombuffer(rows, CLIP)
    count = min(len(inputs), max(2, CHECKED // inputs[0].nbytes))
    checked = np.linspace(0, len(inputs) - 1, count).astype(int)
    whole = all(crc32(inputs[index]) == clips["crc"][index] for index in checked)
    return Cached(inputs, clips) if whole else None


def _seal(rows: bytes) -> bytes:
    return np.array(crc32(rows), SEAL).tobytes()


def _wait(file: Path) -> None:
    """Until the process that computes the file has done so or is dead."""
    claim = file.with_suffix(".claim")
    deadline = time.monotonic() + WAIT_S
    log.warning("waiting for another process, which computes %s", file)
    while True:
        time.sleep(POLL_S)
        if not is_alive(claim):
            return
        if time.monotonic() > deadline:
            raise UserError(
                f"{file}: another process has been computing it for {WAIT_S / 60:.0f} minutes; "
                f"its claim is {claim}"
            )


# --- writing --------------------------------------------------------------------------------------


def _compute(
    clips: Sequence[Clip], recipe: Recipe, file: Path, claim: Claim, progress: Progress
) -> None:
    if file.exists():
        log.warning("%s is damaged and will be computed again", file)
    for leftover in file.parent.glob(f".{file.stem}.*"):
        leftover.unlink(missing_ok=True)  # of a process that was killed: we hold the claim now
    shape = (len(clips), *recipe.shape)
    need = math.prod(shape) * 4
    if (free := shutil.disk_usage(file.parent).free) < need:
        raise UserError(
            f"{file.parent}: {free / 1e6:,.1f} MB free, {need / 1e6:,.1f} MB needed; {ELSEWHERE}"
        )
    temporary = file.with_name(f".{file.stem}.{secrets.token_hex(4)}")
    described = np.zeros(len(clips), CLIP)
    broken: list[str] = []
    try:
        # Plain writes, not a writable map: on a full disk they fail where a map kills the process.
        with temporary.open("wb") as out, _computed(clips, recipe) as computed:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for index, one in enumerate(computed):
                if isinstance(one, UserError):
                    broken.append(str(one))
                elif not broken:
                    numbers, described[index] = one
                    out.write(numbers)
                claim.touch()
                progress(index + 1, len(clips))
            out.write(described.tobytes() + _seal(described.tobytes()))
            out.flush()
            os.fsync(out.fileno())
        if broken:
            raise UserError(f"{len(broken)} of {len(clips)} clips unreadable: {first_few(broken)}")
        if file.stem != key(clips, recipe):
            raise UserError(f"clips changed while {file} was being computed; start again")
        temporary.replace(file)
    except OSError as error:
        raise UserError(
            f"{file}: {reason(error)} (it takes {need / 1e6:,.1f} MB); {ELSEWHERE}"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


Computed = tuple[bytes, tuple[float, float, int]]
"""A clip's numbers and what CLIP says of them."""


@contextmanager
def _computed(clips: Sequence[Clip], recipe: Recipe) -> Iterator[Iterator[Computed | UserError]]:
    """In order. Threads suffice: decoding, resampling and the FFT all let go of the interpreter.

    Each has one core to itself. torch would spread every small step over all of them, which is
    many times slower where somebody else is at work.
    """

    def compute(clip: Clip) -> Computed | UserError:
        try:
            numbers = recipe(clip.path).astype("<f4", copy=False)
        except UserError as error:
            return error
        exact = numbers.astype(np.float64)
        data = numbers.tobytes()
        return data, (exact.mean(), np.square(exact).mean(), crc32(data))

    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        yield pool.map(compute, clips)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for a thousand clips
        torch.set_num_threads(torch_threads)

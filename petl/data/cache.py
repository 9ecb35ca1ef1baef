"""Numbers for each clip, computed once and shared by all runs: first of all, the inputs of models.

A file's name is a digest of all that its contents depend on, so it is never out of date. It gets
this name only when it is complete, by a rename. Who computes it holds a claim (petl/runs/claim.py)
and all others wait: for the file, or for the claim of a process that died, which they take over.

It is an ordinary .npy file with checksums behind the numbers, mapped read-only into memory:

    header | float32 numbers | mean, mean square and CRC-32 of each clip | CRC-32 of the last part

The last CRC-32 is the seal. A file that a failing disk or a crash has damaged does not match its
checksums and is computed again.
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import soundfile
import torch

from petl.data.corpus import Clip, by_file, first_few
from petl.data.features import Recipe
from petl.errors import UserError, reason
from petl.runs.claim import Claim, RunIsTaken, is_alive

Progress = Callable[[int, int], None]
"""Called with (clips done, clips in all)."""

VERSION = 2
"""Raise it when decode.py, features.py or resample.py computes something else."""
WAIT_S = 3600.0
"""For another process that shows no progress."""
POLL_S = 0.2
CHECKED = 128 * 2**20
"""Bytes whose checksums are compared when a file is opened: a fraction of a second."""
CLIP = np.dtype([("mean", "<f8"), ("square", "<f8"), ("crc", "<u4")])
"""For each clip behind the numbers."""
SEAL_BYTES = 4
ELSEWHERE = "choose another cache with --cache or PETL_CACHE"

log = logging.getLogger(__name__)


class Cached(NamedTuple):
    inputs: np.memmap
    """(clips, *shape of one) in float32, memory-mapped read-only."""
    clips: np.ndarray
    """(clips,) of CLIP."""
    key: str
    """The file's name: a digest of all that the numbers depend on."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Wanted:
    """A file of the cache, and how to compute it."""

    file: Path
    shape: tuple[int, ...]
    """(clips, *shape of one)"""
    compute: Callable[[slice], np.ndarray]
    """The numbers of some clips, called from several threads; a UserError names a broken clip."""
    at_once: int = 1
    together: Sequence[slice] = ()
    """Which clips are computed in one call, where they are not `at_once` in all."""
    workers: int | None = None
    """How many threads compute; None is one for each core."""
    changed: Callable[[], bool] = _never
    """Have the clips changed since the file got its name?"""

    @property
    def megabytes(self) -> float:
        return math.prod(self.shape) * 4 / 1e6


def cached_inputs(
    clips: Sequence[Clip], recipe: Recipe, cache: Path, progress: Progress | None = None
) -> Cached:
    """The recipe applied to every clip, in order."""
    name = key(clips, recipe)

    def compute(some: slice) -> np.ndarray:
        return np.stack([*recipe.inputs(clips[some])])

    return stored(
        Wanted(
            cache / "features" / f"{name}.npy",
            (len(clips), *recipe.shape),
            compute,
            together=by_file(clips),
            changed=lambda: key(clips, recipe) != name,
        ),
        progress,
    )


def stored(wanted: Wanted, progress: Progress | None = None) -> Cached:
    """The file's numbers, computed now if no process has done so. Whoever waits calls `progress`
    too, with the clips done so far as 0."""
    file, folder = wanted.file, wanted.file.parent
    progress = progress or (lambda *_: None)
    try:
        while (cached := _open(file, wanted.shape)) is None:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with Claim(file.with_suffix(".claim")) as claim:
                    # Between our look and our claim another process may have finished the file.
                    if _open(file, wanted.shape) is None:
                        _compute(wanted, claim, progress)
            except RunIsTaken:
                _wait(file, lambda: progress(0, wanted.shape[0]))
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}; {ELSEWHERE}") from None
    return cached


def key(clips: Sequence[Clip], recipe: Recipe) -> str:
    """Size and time stand for a file's contents: to read them would take what the cache saves."""
    settings = [
        VERSION,
        recipe.settings,
        # Two versions may differ in the last bit: a run must not read what another one computed.
        [torch.__version__, np.__version__, soundfile.__libsndfile_version__],
    ]
    files = []
    for some in by_file(clips):
        path = clips[some][0].path
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {reason(error)}") from None
        for clip in clips[some]:
            window = [] if clip.seconds is None else [clip.start, clip.seconds]
            files.append([clip.file, stat.st_size, stat.st_mtime_ns, *window])
    return hashlib.sha256(json.dumps([settings, files]).encode()).hexdigest()[:32]


# --- reading --------------------------------------------------------------------------------------


def _open(file: Path, shape: tuple[int, ...]) -> Cached | None:
    """None if there is no file, or it is damaged.

    A small file is checked completely; of a large one the seal, both ends and clips in between.
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
    described, seal = behind[:-SEAL_BYTES], behind[-SEAL_BYTES:]
    if len(described) != len(inputs) * CLIP.itemsize or _seal(described) != seal:
        return None
    clips = np.frombuffer(described, CLIP)
    count = min(len(inputs), max(2, CHECKED // inputs[0].nbytes))
    checked = np.linspace(0, len(inputs) - 1, count).astype(int)
    is_intact = all(crc32(inputs[index]) == clips["crc"][index] for index in checked)
    return Cached(inputs, clips, file.stem) if is_intact else None


def _seal(described: bytes) -> bytes:
    return crc32(described).to_bytes(SEAL_BYTES, "little")


def _wait(file: Path, waiting: Callable[[], None]) -> None:
    """Until the process that computes the file is done or dead."""
    claim = file.with_suffix(".claim")
    touched, deadline = 0.0, time.monotonic() + WAIT_S
    log.warning("waiting for another process that computes %s", file)
    while True:
        time.sleep(POLL_S)
        waiting()
        if not is_alive(claim):
            return
        with suppress(FileNotFoundError):
            if (now := claim.stat().st_mtime) != touched:
                touched, deadline = now, time.monotonic() + WAIT_S
        if time.monotonic() > deadline:
            raise UserError(
                f"{file}: another process computes it, without progress for "
                f"{WAIT_S / 60:.0f} minutes; "
                f"if it hangs, stop it (its host and process number are in {claim})"
            )


# --- writing --------------------------------------------------------------------------------------


def _compute(wanted: Wanted, claim: Claim, progress: Progress) -> None:
    file, clips, need = wanted.file, wanted.shape[0], wanted.megabytes
    if file.exists():
        log.warning("%s is damaged and will be computed again", file)
    for leftover in file.parent.glob(f".{file.stem}.*"):
        leftover.unlink(missing_ok=True)  # of a process that was killed: the claim is ours now
    free = shutil.disk_usage(file.parent).free / 1e6
    if free < need:
        raise UserError(f"{file.parent}: {free:,.1f} MB free, {need:,.1f} MB needed; {ELSEWHERE}")
    temporary = file.with_name(f".{file.stem}.{secrets.token_hex(4)}")
    described = np.zeros(clips, CLIP)
    broken: list[str] = []
    try:
        # Plain writes, not a writable map: on a full disk they fail where a map kills the process.
        with temporary.open("wb") as out, _computed(wanted) as computed:
            header = {"descr": "<f4", "fortran_order": False, "shape": wanted.shape}
            np.lib.format.write_array_header_1_0(out, header)
            for index, one in enumerate(computed):
                if isinstance(one, UserError):
                    broken.append(str(one))
                elif not broken:
                    numbers, described[index] = one
                    out.write(numbers)
                claim.touch()
                progress(index + 1, clips)
            out.write(described.tobytes() + _seal(described.tobytes()))
            out.flush()
            os.fsync(out.fileno())
        if broken:
            count = f"{len(broken)} of {clips}"
            raise UserError(f"{count} clips could not be decoded: {first_few(broken)}")
        if wanted.changed():
            raise UserError(
                f"{file}: clips were changed while it was computed; run the same command again"
            )
        temporary.replace(file)
    except OSError as error:
        raise UserError(f"{file}: {reason(error)} ({need:,.1f} MB needed); {ELSEWHERE}") from None
    finally:
        temporary.unlink(missing_ok=True)


Computed = tuple[bytes, tuple[float, float, int]]
"""A clip's numbers, and their mean, mean square and checksum."""


@contextmanager
def _computed(wanted: Wanted) -> Iterator[Iterator[Computed | UserError]]:
    """In order. Threads suffice, because decoding, resampling, the FFT and a model's layers release
    the GIL.

    Each thread has one core. By default torch would spread every small step over all cores, which
    is many times slower on a busy machine, and rounds differently on another number of cores.
    """

    def compute(clips: slice) -> list[Computed] | UserError:
        try:
            some = wanted.compute(clips)
        except UserError as error:
            return error
        return [_described(numbers) for numbers in some.astype("<f4", copy=False)]

    def one_by_one() -> Iterator[Computed | UserError]:
        size = wanted.at_once
        evenly = [slice(start, start + size) for start in range(0, wanted.shape[0], size)]
        for some in pool.map(compute, wanted.together or evenly):
            if isinstance(some, UserError):
                yield some
            else:
                yield from some

    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(wanted.workers or len(os.sched_getaffinity(0)))
    try:
        yield one_by_one()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the clips in the queue
        torch.set_num_threads(torch_threads)


def _described(numbers: np.ndarray) -> Computed:
    exact = numbers.astype(np.float64)
    data = numbers.tobytes()
    return data, (exact.mean(), np.square(exact).mean(), crc32(data))

"""Sound files through models, window by window. A file that does not decode stops nothing."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from petl.data.features import Recipe
from petl.data.windows import Window, windows
from petl.errors import UserError
from petl.use.load import LoadedRun

BATCH = 32
"""Windows that a model reads at a time."""
AT_ONCE = 8
"""Windows that a thread cuts from a file before it waits for the model."""
THREADS = 8


@dataclass
class Heard:
    """A file's windows, and each run's outputs for them; none if there is an error."""

    file: Path
    error: str = ""
    spans: list[tuple[float, float]] = field(default_factory=list)
    """Each window's start and end in seconds."""
    outputs: list[np.ndarray] = field(default_factory=list)
    """For each window (runs, outputs), float64."""
    position: float = 0.0
    """The part of the file that has been heard."""
    is_read: bool = False

    @property
    def complete(self) -> bool:
        return self.is_read and (bool(self.error) or len(self.outputs) == len(self.spans))


def hear(
    runs: Sequence[LoadedRun], recipe: Recipe, files: Sequence[Path], hop: int
) -> Iterator[Heard]:
    """In the order of the files; one that takes long is also given before it is complete.

    While the models compute a batch, threads decode the next one.
    """
    under_way: deque[Heard] = deque()
    batch: list[tuple[Heard, np.ndarray]] = []
    threads = min(THREADS, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(threads) as pool:
        for heard, some in _read(pool, recipe, files, hop, 2 * threads):
            if not under_way or under_way[-1] is not heard:
                under_way.append(heard)
            for window in some:
                heard.spans.append((window.start, window.end))
                heard.position = window.position
                batch.append((heard, window.input))
                if len(batch) == BATCH:
                    _compute(runs, batch)
            while under_way and under_way[0].complete:
                yield under_way.popleft()
            if under_way:
                yield under_way[0]
    _compute(runs, batch)
    yield from under_way


def _compute(runs: Sequence[LoadedRun], batch: list[tuple[Heard, np.ndarray]]) -> None:
    """Their outputs go to the files that the windows are of."""
    if not batch:
        return
    inputs = np.stack([window for _, window in batch])
    outputs = torch.stack([run.outputs(inputs).double().cpu() for run in runs], dim=1).numpy()
    for (heard, _), of_window in zip(batch, outputs, strict=True):
        heard.outputs.append(of_window)
    batch.clear()


def _read(
    pool: ThreadPoolExecutor, recipe: Recipe, files: Sequence[Path], hop: int, in_advance: int
) -> Iterator[tuple[Heard, list[Window]]]:
    """Some windows of a file at a time, file after file, while the next ones are being read."""

    def start(file: Path) -> tuple[Heard, Iterator[Window], Future[tuple[list[Window], str]]]:
        reader = windows(file, recipe, hop)
        return Heard(file), reader, pool.submit(_some, file, reader)

    waiting = iter(files)
    ahead = deque(map(start, islice(waiting, in_advance)))
    while ahead:
        heard, reader, future = ahead.popleft()
        ahead.extend(map(start, islice(waiting, 1)))
        while not heard.is_read:
            some, heard.error = future.result()
            heard.is_read = len(some) < AT_ONCE
            if not heard.is_read:
                future = pool.submit(_some, heard.file, reader)
            yield heard, some


def _some(file: Path, reader: Iterator[Window]) -> tuple[list[Window], str]:
    """The next windows, or why there are none."""
    try:
        return list(islice(reader, AT_ONCE)), ""
    except (UserError, OSError) as error:
        return [], str(error).removeprefix(f"{file}: ")

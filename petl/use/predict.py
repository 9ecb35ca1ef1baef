"""What a trained model says of sound files. One that does not decode is named; the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from petl import config
from petl.data.features import Recipe
from petl.errors import UserError
from petl.use.load import LoadedRun

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """`values` are probabilities by label, or a regression's numbers; none if there is an error."""

    file: Path
    values: tuple[float, ...] = ()
    error: str = ""


def predict(run: LoadedRun, files: Sequence[Path]) -> Iterator[Prediction]:
    """In the order of the files, batch by batch; while one is computed the next is decoded."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        waiting = iter(files)
        ahead = [(file, threads.submit(heard, file, run.task)) for file in islice(waiting, BATCH)]
        while ahead:
            now = ahead
            ahead = [
                (file, threads.submit(heard, file, run.task)) for file in islice(waiting, BATCH)
            ]
            yield from _of_batch(run, [(file, future.result()) for file, future in now])


def heard(file: Path, task: config.Task) -> np.ndarray | str:
    """What the model gets of a file, not yet normalised, or why there is nothing."""
    try:
        return Recipe.of(task.dataset, task.backbone.form)(file)
    except (UserError, OSError) as error:
        return str(error).removeprefix(f"{file}: ")


def _of_batch(
    run: LoadedRun, batch: Sequence[tuple[Path, np.ndarray | str]]
) -> Iterator[Prediction]:
    sounds = [sound for _, sound in batch if isinstance(sound, np.ndarray)]
    values = iter(_values(run, np.stack(sounds)) if sounds else ())
    for file, sound in batch:
        if isinstance(sound, str):
            yield Prediction(file, error=sound)
        else:
            yield Prediction(file, tuple(next(values)))


def _values(run: LoadedRun, raw: np.ndarray) -> list[list[float]]:
    outputs = run.outputs(raw).double()
    return (outputs.softmax(dim=1) if run.classes else outputs).tolist()


def as_json(prediction: Prediction, run: LoadedRun, top: int) -> dict[str, Any]:
    """One line of `--json`."""
    said: dict[str, Any] = {"file": str(prediction.file)}
    if prediction.error:
        return said | {"error": prediction.error}
    if not run.classes:
        return said | {"targets": dict(zip(run.names, prediction.values, strict=True))}
    best = ranked(prediction, run, top)
    return said | {"top": [{"class": name, "probability": value} for name, value in best]}


def ranked(prediction: Prediction, run: LoadedRun, top: int) -> list[tuple[str, float]]:
    """The likeliest classes; equal ones in the order of their labels."""
    pairs = zip(run.classes, prediction.values, strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])[:top]

"""What a trained model predicts for sound files. A file that does not decode stops nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from petl.data.features import Recipe
from petl.errors import UserError
from petl.use.load import LoadedRun

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """`values`: probabilities by label, or a regression's numbers; none if there is an error."""

    file: Path
    values: tuple[float, ...] = ()
    error: str = ""

    def ranked(self, run: LoadedRun, top: int) -> list[tuple[str, float]]:
        """The most probable classes, equal ones by label; all targets of a regression in order."""
        pairs = list(zip(run.names, self.values, strict=True)) if self.values else []
        return sorted(pairs, key=lambda pair: -pair[1])[:top] if run.classes else pairs

    def to_json(self, run: LoadedRun, top: int) -> dict[str, Any]:
        """A line of `--json`."""
        answers = self.ranked(run, top)
        if self.error:
            answer: dict[str, Any] = {"error": self.error}
        elif run.classes:
            answer = {"top": [{"class": name, "probability": p} for name, p in answers]}
        else:
            answer = {"targets": dict(answers)}
        return {"file": str(self.file)} | answer


def predict(run: LoadedRun, files: Sequence[Path]) -> Iterator[Prediction]:
    """In the order of the files. While the model computes a batch, threads decode the next."""
    recipe = Recipe.of(run.task.dataset, run.task.backbone.form)

    def decode(file: Path) -> np.ndarray | str:
        try:
            return recipe(file)
        except (UserError, OSError) as error:
            return str(error).removeprefix(f"{file}: ")

    def start_batch() -> list[tuple[Path, Future[np.ndarray | str]]]:
        return [(file, threads.submit(decode, file)) for file in islice(waiting, BATCH)]

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        waiting = iter(files)
        following = start_batch()
        while batch := following:
            following = start_batch()
            yield from _predict_batch(run, [(file, future.result()) for file, future in batch])


def _predict_batch(
    run: LoadedRun, batch: Sequence[tuple[Path, np.ndarray | str]]
) -> Iterator[Prediction]:
    inputs = [decoded for _, decoded in batch if isinstance(decoded, np.ndarray)]
    values = iter(_values(run, np.stack(inputs)) if inputs else ())
    for file, decoded in batch:
        if isinstance(decoded, str):
            yield Prediction(file, error=decoded)
        else:
            yield Prediction(file, tuple(next(values)))


def _values(run: LoadedRun, inputs: np.ndarray) -> list[list[float]]:
    return run.answers(run.outputs(inputs).double()).tolist()

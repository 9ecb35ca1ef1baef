"""What trained runs predict for sound files and for groups of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from petl.config.kinds import Kind
from petl.data.features import Recipe
from petl.errors import UserError
from petl.use.predict.combine import Combine, Pool, combined, pooled
from petl.use.predict.ensemble import Ensemble
from petl.use.predict.hear import Heard, hear

Values = tuple[float, ...]
"""Probabilities by label, or a regression's numbers."""


@dataclass(frozen=True)
class How:
    """`hop`: seconds between the starts of two windows; without it, a window's own length."""

    hop: float | None = None
    pool: Pool = "mean"
    combine: Combine = "mean"

    def frames(self, recipe: Recipe) -> int:
        """The hop in frames of the recipe."""
        front_end = recipe.front_end
        if self.hop is None:
            return recipe.length // front_end.hop
        if not 0.01 <= self.hop <= 1e6:
            raise UserError(f"a hop of {self.hop:g} s; it can be 0.01 s or more")
        return max(1, round(self.hop * (front_end.rate / front_end.hop)))


@dataclass(frozen=True)
class Span:
    """A window of a file, in seconds, and what the runs say about it."""

    start: float
    end: float
    values: Values


@dataclass(frozen=True)
class Prediction:
    """Of a file, or of a group of `files` with the group's name. No values if there is an error."""

    file: Path
    values: Values = ()
    error: str = ""
    spans: tuple[Span, ...] = ()
    """Empty if the runs read windows of different lengths."""
    files: int = 1

    def to_json(self, ensemble: Ensemble, top: int) -> dict[str, Any]:
        """A line of `--json`."""
        answers = ranked(ensemble, self.values, top)
        if self.error:
            answer: dict[str, Any] = {"error": self.error}
        elif ensemble.classes:
            answer = {"top": [{"class": name, "probability": p} for name, p in answers]}
        else:
            answer = {"targets": dict(answers)}
        return {"file": str(self.file)} | answer


def ranked(ensemble: Ensemble, values: Sequence[float], top: int) -> list[tuple[str, float]]:
    """The most probable classes, equal ones by label; all targets of a regression in order."""
    pairs = list(zip(ensemble.names, values, strict=True)) if values else []
    return sorted(pairs, key=lambda pair: -pair[1])[:top] if ensemble.classes else pairs


def predict(
    ensemble: Ensemble,
    files: Sequence[Path],
    how: How | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> Iterator[Prediction]:
    """In the order of the files, all of each file. `progress` is told how many files are done."""
    how = how or How()
    ensemble.check(how.pool, how.combine)
    heard = [
        _whole(hear(runs, recipe, files, how.frames(recipe)), progress)
        for recipe, runs in ensemble.by_input().items()
    ]
    for parts in zip(*heard, strict=True):
        yield _prediction(ensemble, parts, how)


def _whole(heard: Iterator[Heard], progress: Callable[[float], None]) -> Iterator[Heard]:
    done = 0
    for one in heard:
        done += one.complete
        progress(done if one.complete else done + one.position)
        if one.complete:
            yield one


def _prediction(ensemble: Ensemble, parts: Sequence[Heard], how: How) -> Prediction:
    """`parts`: the same file, as the runs with each kind of input heard it."""
    file, error = parts[0].file, next((part.error for part in parts if part.error), "")
    if error:
        return Prediction(file, error=error)
    of_runs = [
        pooled(logits, ensemble.answers, how.pool, ensemble.kind)
        for part in parts
        for logits in np.stack(part.outputs, axis=1)  # (windows, outputs) of each run
    ]
    values = combined(np.stack(of_runs), how.combine, ensemble.kind)
    spans = _spans(ensemble, parts[0], how) if len(parts) == 1 else ()
    return Prediction(file, tuple(values.tolist()), spans=tuple(spans))


def _spans(ensemble: Ensemble, heard: Heard, how: How) -> Iterator[Span]:
    for (start, end), outputs in zip(heard.spans, heard.outputs, strict=True):
        values = combined(ensemble.answers(outputs), how.combine, ensemble.kind)
        yield Span(start, end, tuple(values.tolist()))


def grouped(
    predictions: Sequence[Prediction], groups: Mapping[Path, str], how: How, kind: Kind
) -> list[Prediction]:
    """An answer for each group, from those of its files that were decoded."""
    members: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        members.setdefault(groups[prediction.file], []).append(prediction)
    return [_group(name, files, how, kind) for name, files in members.items()]


def _group(name: str, files: Sequence[Prediction], how: How, kind: Kind) -> Prediction:
    good = [np.array(one.values) for one in files if not one.error]
    if not good:
        return Prediction(Path(name), error="none of its files could be decoded", files=len(files))
    values = combined(np.stack(good), how.combine, kind)
    return Prediction(Path(name), tuple(values.tolist()), files=len(good))

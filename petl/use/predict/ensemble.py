"""Trained runs that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from petl.config.kinds import Kind
from petl.data.features import Recipe
from petl.errors import UserError
from petl.places import Places
from petl.use.load import LoadedRun, load_run
from petl.use.predict.combine import Combine, Pool


@dataclass(frozen=True)
class Ensemble:
    """One run or several, with the same outputs."""

    runs: tuple[LoadedRun, ...]

    def __post_init__(self) -> None:
        first = self.runs[0]
        for run in self.runs[1:]:
            if (run.names, run.task.kind) != (first.names, first.task.kind):
                raise UserError(
                    f"{first.path} and {run.path}: these runs have different classes, so their "
                    "answers cannot be combined; choose one dataset with --only dataset=NAME"
                )

    @property
    def names(self) -> tuple[str, ...]:
        return self.runs[0].names

    @property
    def classes(self) -> tuple[str, ...]:
        """Empty for a regression."""
        return self.runs[0].classes

    @property
    def kind(self) -> Kind:
        return self.runs[0].task.kind

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities from logits (n, classes); a regression's numbers as they are."""
        return self.runs[0].answers(torch.from_numpy(outputs)).numpy()

    def by_input(self) -> dict[Recipe, list[LoadedRun]]:
        """Runs that read the same input from a file."""
        same: dict[Recipe, list[LoadedRun]] = {}
        for run in self.runs:
            recipe = Recipe.of(run.task.dataset, run.task.backbone.form)
            same.setdefault(recipe, []).append(run)
        return same

    def check(self, pool: Pool, combine: Combine) -> None:
        if not self.classes and (pool, combine) != ("mean", "mean"):
            raise UserError("a regression has no classes to vote for; its numbers are averaged")


def load_ensemble(paths: Sequence[Path], places: Places) -> Ensemble:
    """Loaded one after the other. What they have in common is in memory once."""
    runs: list[LoadedRun] = []
    for path in paths:
        runs.append(load_run(path, places))
        _share(runs[0], runs[-1])
    return Ensemble(tuple(runs))


def _share(first: LoadedRun, other: LoadedRun) -> None:
    """Ten adapters on one backbone need the memory of one backbone."""
    known = dict(first.model.named_parameters())
    for name, parameter in other.model.named_parameters():
        same = known.get(name)
        if same is not None and same.shape == parameter.shape and torch.equal(same, parameter):
            parameter.data = same.data

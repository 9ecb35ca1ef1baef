"""Looks at a generator while it trains: samples of the same conditions and noise, again and again.

Beside real clips of these conditions they become a picture that grows, and a measure of diversity.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.config.kinds import NUMBERS
from petl.generate.base import Generator
from petl.generate.collapse import diversity
from petl.generate.listen.pictures import grid, limits_of, small
from petl.train.generators.clips import TrainingClips
from petl.train.seeding import derive, generator

LOOKED, SHOWN = 32, 8
"""Samples that are compared, and those of them in the picture."""
MOST_ROWS = 48
"""Of the picture; then every second one goes."""


class Looks:
    def __init__(self, clips: TrainingClips, task: config.Task):
        self.seed = derive(task.seed, task.fold, "looks")
        draws = generator(task.seed, task.fold, "looks")
        chosen = torch.randperm(len(clips.indices), generator=draws)[:LOOKED]
        self.real, self.conditions = clips.raw(chosen), clips.conditions[chosen]
        self.limits = limits_of(self.real.numpy())
        self.columns = [_named(row, clips.names, task) for row in self.conditions[:SHOWN]]
        self.epochs: list[int] = []
        self.rows: list[np.ndarray] = []
        self.drawn: tuple[list[int], bytes] = [], b""
        """The last picture, and of which epochs."""

    def look(self, made_by: Generator, epoch: int) -> Tensor:
        """The samples, of which the first ones become a row of the picture."""
        made = made_by.sample(self.conditions, self.seed)
        self.epochs.append(epoch)
        self.rows.append(self._cells(made))
        if len(self.rows) > MOST_ROWS:
            del self.epochs[1::2], self.rows[1::2]
        return made

    def diversity(self, made: Tensor) -> float:
        return diversity(made, self.conditions, self.real, self.conditions)

    def picture(self) -> bytes | None:
        """A PNG; None where no package can draw, or before the first look."""
        if not self.rows or find_spec("seaborn") is None:
            return None
        if self.epochs != self.drawn[0]:
            titles = ["real", *(f"epoch {epoch}" for epoch in self.epochs)]
            cells = [self._cells(self.real), *self.rows]
            self.drawn = list(self.epochs), grid(cells, titles, self.columns)
        return self.drawn[1]

    def _cells(self, clips: Tensor) -> np.ndarray:
        return small(clips[:SHOWN].numpy(), self.limits)

    # --- what a checkpoint holds

    def state(self) -> dict[str, Any]:
        rows = [torch.from_numpy(row) for row in self.rows]
        return {"epochs": self.epochs, "rows": rows}

    def restore(self, state: dict[str, Any]) -> None:
        self.epochs = list(state["epochs"])
        self.rows = [row.numpy() for row in state["rows"]]

    def expected(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the state looks like after as many looks."""
        number = min(len(given["epochs"]), MOST_ROWS)
        return {"epochs": [1] * number, "rows": [torch.from_numpy(self._cells(self.real))] * number}


def _named(condition: Tensor, names: tuple[str, ...], task: config.Task) -> str:
    if task.dataset.kind is NUMBERS:
        return ", ".join(f"{value:.2g}" for value in condition.tolist())
    return ", ".join(names[i] for i in condition.nonzero().flatten().tolist()) or "none"

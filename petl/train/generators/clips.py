"""The training clips of one fold: all that a generator is fitted to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.data.load import TaskData
from petl.errors import UserError
from petl.generate.base import Space
from petl.generate.conditions import names, ranges, vectors
from petl.generate.fitted import fitted_on
from petl.train.seeding import generator

AT_ONCE = 64
"""Clips that are read at a time to find their mean and deviation."""


class TrainingClips:
    """They stay in the memory map of the cache; a batch at a time is copied to the device.

    Of the other clips nothing is read here, and none of their labels.
    """

    def __init__(self, data: TaskData, task: config.Task, device: torch.device):
        self.inputs, self.indices = data.inputs, data.split.train
        self.task, self.device = task, device
        self.size, number = task.train.batch_size, len(self.indices)
        if self.size > number:
            raise UserError(
                f"train.batch_size is {self.size}, and fold {task.fold} of {task.dataset.corpus} "
                f"has {number} training clips: choose {number} or fewer"
            )
        self.conditions = vectors(task.dataset, data.targets[self.indices])
        self.names = names(task.dataset, data.classes)
        self.ranges = ranges(self.conditions, self.names)
        self.digest = fitted_on(task.dataset, [data.names[index] for index in self.indices])
        self.space = self._space()

    @property
    def steps(self) -> int:
        """In an epoch: a last batch that is not full is left out, and other clips the next time."""
        return len(self.indices) // self.size

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Raw spectrograms and conditions on the device, from a step of the epoch on."""
        draws = generator(self.task.seed, self.task.fold, "order", epoch)
        order = torch.randperm(len(self.indices), generator=draws)
        for step in range(first_step, self.steps):
            chosen = order[step * self.size : (step + 1) * self.size]
            yield self.raw(chosen).to(self.device), self.conditions[chosen].to(self.device)

    def raw(self, chosen: Tensor) -> Tensor:
        """Spectrograms of training clips, by their number among these, on the CPU."""
        wanted = self.indices[chosen.numpy()]
        return torch.from_numpy(np.ascontiguousarray(self.inputs[wanted], dtype=np.float32))

    def _space(self) -> Space:
        total, square, low, high = 0.0, 0.0, np.inf, -np.inf
        for some in torch.arange(len(self.indices)).split(AT_ONCE):
            values = self.raw(some).double()
            total, square = total + float(values.sum()), square + float(values.square().sum())
            low, high = min(low, float(values.min())), max(high, float(values.max()))
        frames, bins = self.inputs.shape[1:]
        count = len(self.indices) * frames * bins
        mean, variance = total / count, square / count - (total / count) ** 2
        if not (low < high and variance > 0):
            raise UserError(
                f"{self.task.dataset.corpus}: no training clip holds sound: all their spectrograms "
                "are one number"
            )
        outputs = len(self.names)
        return Space(frames, bins, outputs, mean, float(np.sqrt(variance)), low, high)

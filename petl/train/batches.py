"""A task's clips as batches on the device: in order, or shuffled and augmented for training.

All random draws of an epoch are made at its start, from generators named by seed, fold and epoch.
So a resumed run can enter an epoch at any step and gets the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.data.augment import balanced, draw_clips, draw_masks, draw_mixup, put_synthetic
from petl.data.features import normalise
from petl.data.load import TaskData
from petl.train.seeding import generator

ROOM = 0.4
"""All inputs are kept on the GPU if they take no more than this share of its free memory."""

Batch = tuple[Tensor, Tensor]


class Batches:
    def __init__(self, data: TaskData, task: config.Task, device: torch.device):
        self.data, self.task, self.device = data, task, device
        self.clips = _Clips(data.inputs, data.targets, device)
        made = data.synthetic
        self.synthetic = made and _Clips(made.inputs, made.targets, device)

    def of(self, indices: np.ndarray) -> Iterator[Batch]:
        """Of clips of the corpus alone."""
        if indices.min(initial=0) < 0:
            raise ValueError("a synthetic clip may only train")
        for chosen in _chunks(indices, self.task.train.batch_size):
            x, y = self._raw(chosen)
            yield self._normalised(x), y

    def training(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, starting at a step."""
        seed, fold = self.task.seed, self.task.fold
        dataset, settings = self.task.dataset, self.task.train
        train = self.data.split.train
        order = self._order(generator(seed, fold, "order", epoch))
        masks = mixing = None
        if dataset.spec_augment is not None:
            draws = generator(seed, fold, "spec-augment", epoch)
            frames, bins = self.data.inputs.shape[1:]
            masks = draw_masks(len(train), frames, bins, dataset.spec_augment, draws)
            masks = masks.to(self.device)
        if settings.mixup is not None:
            draws = generator(seed, fold, "mixup", epoch)
            mixing = draw_mixup(len(train), settings.mixup, draws).to(self.device)
        before = dataset.spec_augment is not None and (
            dataset.spec_augment.mask == "before-normalisation"
        )
        size = settings.batch_size_in(epoch)
        clips = train[order.numpy()]
        if self.synthetic is not None and self.task.augment is not None:
            draws = generator(seed, fold, "synthetic", epoch)
            clips = put_synthetic(clips, self.task.augment.of(len(clips)), draws)
        chunks = list(_chunks(clips, size))
        for step, chosen in enumerate(chunks[first_step:], start=first_step):
            x, y = self._raw(chosen)
            if masks is not None and before:
                x = masks.apply(x, step * size)
            x = self._normalised(x)
            if masks is not None and not before:
                x = masks.apply(x, step * size)
            if mixing is not None:
                x, y = mixing.apply(x, self._mixable(y), step * size)
            yield x, y

    def _order(self, draws: torch.Generator) -> Tensor:
        """The positions among the training clips of an epoch's clips, one after the other."""
        train, dataset = self.data.split.train, self.task.dataset
        if self.task.train.sampling == "balanced":
            weights = balanced(self.data.targets[train], dataset.classes)
            return draw_clips(weights, draws)
        return torch.randperm(len(train), generator=draws)

    def _mixable(self, y: Tensor) -> Tensor:
        """A label becomes a one-hot vector; numbers, and 0 or 1 for each class, mix as they are."""
        classes = self.task.dataset.classes
        return torch.nn.functional.one_hot(y, classes).float() if y.dim() == 1 else y.float()

    def _normalised(self, x: Tensor) -> Tensor:
        """Not for an objective, whose model looks first where the padding is."""
        if self.data.statistics is None or self.task.objective is not None:
            return x
        return normalise(x, self.data.statistics)

    def _raw(self, chosen: np.ndarray) -> Batch:
        made = chosen < 0
        if self.synthetic is None or not made.any():
            return self.clips.at(chosen)
        x, y = self.synthetic.at(np.where(made, -1 - chosen, 0))
        real = torch.from_numpy(np.flatnonzero(~made)).to(self.device)
        x[real], y[real] = self.clips.at(chosen[~made])
        return x, y


class _Clips:
    """Inputs and targets, on the device if they fit there."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, device: torch.device):
        self.mapped, self.device = inputs, device
        self.targets = torch.from_numpy(targets).to(device)
        self.inputs = self._on_device() if _fits(inputs, device) else None

    def at(self, chosen: np.ndarray) -> Batch:
        index = torch.from_numpy(chosen).to(self.device)
        if self.inputs is not None:
            return self.inputs[index], self.targets[index]
        x = torch.from_numpy(np.ascontiguousarray(self.mapped[chosen]))
        return x.to(self.device), self.targets[index]

    def _on_device(self) -> Tensor:
        """In pieces, so that the process never holds all inputs in its own memory."""
        inputs = torch.empty(self.mapped.shape, device=self.device)
        for start in range(0, len(inputs), 1024):
            piece = np.ascontiguousarray(self.mapped[start : start + 1024])
            inputs[start : start + 1024] = torch.from_numpy(piece)
        return inputs


def _fits(inputs: np.ndarray, device: torch.device) -> bool:
    """On a CPU the inputs stay in the memory map."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return inputs.nbytes <= ROOM * free


def _chunks(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]

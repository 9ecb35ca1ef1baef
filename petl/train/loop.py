"""The training loop: a task's model and data in, metrics per epoch and at the end out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.data import TaskData
from petl.data.augment import spec_augment
from petl.data.features import normalise
from petl.errors import UserError
from petl.methods.gradual import start_epoch
from petl.model import Model, restore, trained_state
from petl.train import metrics
from petl.train.optim import cosine, optimiser
from petl.train.seeding import generator

Row = dict[str, Any]
OnEpoch = Callable[[Row], None]


class Diverged(UserError):
    """The loss left the finite numbers; training on would only heat the room."""


@dataclass
class Outcome:
    test_last: dict[str, float]
    test_best: dict[str, float]
    val_best: dict[str, float]
    best_epoch: int


def fit(model: Model, data: TaskData, task: config.Task, on_epoch: OnEpoch) -> Outcome:
    """Train for all epochs; test the last weights and those that validated best."""
    device = next(model.parameters()).device
    settings = task.train
    batches = Batches(data, task, device)
    adamw = optimiser(model, settings)
    schedule = cosine(adamw, settings.epochs * batches.steps)
    best_score, best_epoch = -float("inf"), 0
    best_state: dict[str, Tensor] = {}
    val_best: dict[str, float] = {}
    for epoch in range(1, settings.epochs + 1):
        started = time.perf_counter()
        lr = adamw.param_groups[0]["lr"]
        model.train()
        start_epoch(model, epoch)
        losses = []
        for x, y in batches.training(epoch):
            loss = metrics.loss(model(x), y)
            adamw.zero_grad(set_to_none=True)
            loss.backward()
            adamw.step()
            schedule.step()
            losses.append(loss.detach() * len(y))
        train_loss = float(torch.stack(losses).sum()) / len(data.split.train)
        validation = evaluate(model, batches, data.split.validation)
        on_epoch(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                **{f"val_{name}": value for name, value in validation.items()},
                "lr": lr,
                "seconds": time.perf_counter() - started,
            }
        )
        if not np.isfinite(train_loss):
            raise Diverged(
                f"the loss was {train_loss} in epoch {epoch} (lr {settings.lr:g}): a lower lr helps"
            )
        if validation[metrics.PRIMARY] > best_score:
            best_score, best_epoch, val_best = validation[metrics.PRIMARY], epoch, validation
            best_state = {name: t.detach().clone() for name, t in trained_state(model).items()}
    test_last = evaluate(model, batches, data.split.test)
    restore(model, best_state)
    test_best = evaluate(model, batches, data.split.test)
    return Outcome(test_last, test_best, val_best, best_epoch)


@torch.no_grad()
def evaluate(model: Model, batches: Batches, indices: np.ndarray) -> dict[str, float]:
    model.eval()
    pairs = [(model(x), y) for x, y in batches.of(indices)]
    outputs, targets = (torch.cat(part) for part in zip(*pairs, strict=True))
    return metrics.measure(outputs, targets)


class Batches:
    """Normalised spectrograms and labels on the device; for training shuffled and augmented."""

    def __init__(self, data: TaskData, task: config.Task, device: torch.device):
        self.data, self.task, self.device = data, task, device
        self.size = task.train.batch_size
        self.steps = -(-len(data.split.train) // self.size)

    def of(self, indices: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        for chosen in self._chunks(indices):
            x, y = self._raw(chosen)
            yield normalise(x, self.data.statistics), y

    def training(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Order and masks depend on (seed, fold, epoch) alone."""
        named = (self.task.seed, self.task.fold)
        train = self.data.split.train
        order = torch.randperm(len(train), generator=generator(*named, "order", epoch))
        draws = generator(*named, "spec-augment", epoch)
        masks = self.task.dataset.spec_augment
        for chosen in self._chunks(train[order.numpy()]):
            x, y = self._raw(chosen)
            if masks is not None and masks.mask == "before-normalisation":
                x = spec_augment(x, masks, draws)
            x = normalise(x, self.data.statistics)
            if masks is not None and masks.mask == "after-normalisation":
                x = spec_augment(x, masks, draws)
            yield x, y

    def _chunks(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(indices), self.size):
            yield indices[start : start + self.size]

    def _raw(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        x = torch.from_numpy(np.ascontiguousarray(self.data.inputs[chosen]))
        y = torch.from_numpy(self.data.targets[chosen])
        return x.to(self.device), y.to(self.device)

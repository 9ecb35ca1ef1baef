"""The training loop: a task's model and data in, metrics per epoch and at the end out.

All that an interrupted run needs to go on is in `Fit.state()`. Draws are named by seed, fold and
epoch, so that beside weights and optimiser it takes little more than the place in the epoch.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.data.load import TaskData
from petl.errors import UserError
from petl.methods.gradual import start_epoch
from petl.model.build import Model, restore, trained_state
from petl.train.batches import Batches
from petl.train.failures import memory, nonfinite
from petl.train.failures.kinds import Diverged, OutOfMemory, is_out_of_memory
from petl.train.metrics import objective
from petl.train.optim import clip, optimiser, schedule
from petl.train.seeding import derive

Row = dict[str, Any]
Scores = dict[str, float]
State = dict[str, Any]


class Watcher:
    """Whoever looks on: after every step, and with the epoch's metrics after each epoch."""

    def step(self, fit: Fit) -> None:
        pass

    def epoch(self, fit: Fit, row: Row) -> None:
        pass


@dataclass
class Best:
    """The weights that validated best so far; the first of equals."""

    score: float = -float("inf")
    epoch: int = 0
    scores: Scores = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Outcome:
    test_last: Scores
    test_best: Scores
    val_best: Scores
    best_epoch: int
    epochs: int
    confusion: dict[str, list[list[int]] | None]
    weights: dict[str, Tensor]
    """The weights that the task keeps."""


class Fit:
    def __init__(self, model: Model, data: TaskData, task: config.Task):
        self.model, self.data, self.task = model, data, task
        self.device = next(model.parameters()).device
        if task.train.precision == "fp16" and self.device.type == "cpu":
            raise UserError("train.precision 'fp16' needs a GPU; bf16 and float32 run on a CPU")
        self.batches = Batches(data, task, self.device)
        self.objective = objective(task)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.adamw = optimiser(model, task.train)
        self.schedule = schedule(self.adamw, task.train, len(data.split.train))
        self.scaler = _scaler(task.train, self.device)
        self.finite = nonfinite.FiniteCheck(self.device)
        self.epoch, self.step = 1, 0
        self.lr, self.seconds = 0.0, 0.0
        self.losses: list[Tensor] = []
        self.best = Best()
        self.free_at_first = memory.free_bytes(self.device)

    # --- what a checkpoint holds

    def state(self) -> State:
        return {
            "weights": trained_state(self.model),
            "adamw": self.adamw.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "lr": self.lr,
            "seconds": self.seconds,
            "losses": torch.stack(self.losses) if self.losses else torch.zeros(0),
            "best": asdict(self.best),
            "random": torch.get_rng_state(),
            "random_gpu": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }

    def restore(self, state: State) -> None:
        restore(self.model, state["weights"])
        self.adamw.load_state_dict(state["adamw"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.lr, self.seconds = state["lr"], state["seconds"]
        self.losses = list(state["losses"].to(self.device))
        self.best = Best(**state["best"])
        torch.set_rng_state(state["random"])
        if state["random_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_gpu"])

    # --- going on from where it is

    def run(self, watcher: Watcher | None = None) -> Outcome:
        """Train to the end; test the last weights and those that validated best."""
        watcher = watcher or Watcher()
        while not self._over():
            row = self._epoch(watcher)
            watcher.epoch(self, row)
        return self._test()

    def _over(self) -> bool:
        patience = self.task.train.patience
        idle = self.epoch - 1 - self.best.epoch
        return self.epoch > self.task.train.epochs or (patience is not None and idle >= patience)

    def _epoch(self, watcher: Watcher) -> Row:
        started = time.perf_counter()
        if self.step == 0:
            self.lr = self.adamw.param_groups[0]["lr"]
            torch.manual_seed(derive(self.task.seed, self.task.fold, "dropout", self.epoch))
        self.model.train()
        start_epoch(self.model, self.epoch)
        self.model.head_only = self.epoch <= self.task.train.head_first * self.task.train.epochs
        for x, y in self.batches.training(self.epoch, self.step):
            if not self._step_fits(x, y):
                raise self._out_of_memory(x)
            self.step += 1
            self.seconds += time.perf_counter() - started
            started = time.perf_counter()
            watcher.step(self)
        self.finite.finish()
        train_loss = float(torch.stack(self.losses).sum()) / len(self.data.split.train)
        validation, _ = self.evaluate(self.data.split.validation)
        self._keep_best(validation)
        row = {
            "epoch": self.epoch,
            "train_loss": train_loss,
            **{f"val_{name}": value for name, value in validation.items()},
            "lr": self.lr,
            "seconds": self.seconds + time.perf_counter() - started,
        }
        self.epoch, self.step, self.seconds, self.losses = self.epoch + 1, 0, 0.0, []
        return row

    def _step_fits(self, x: Tensor, y: Tensor) -> bool:
        """Once this has returned, nothing holds on to what was allocated before it failed."""
        try:
            self._step(x, y)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _step(self, x: Tensor, y: Tensor) -> None:
        """Forward and backward in pieces if asked for, then one step of the whole batch."""
        piece = self.task.train.micro_batch or len(x)
        self.adamw.zero_grad(set_to_none=True)
        parts = []
        for part_x, part_y in zip(x.split(piece), y.split(piece), strict=True):
            with self._precision():
                loss = self.objective.loss(self.model(part_x), part_y) * (len(part_x) / len(x))
            self.scaler.scale(loss).backward()
            parts.append(loss.detach())
        loss = parts[0] if len(parts) == 1 else torch.stack(parts).sum()
        self.scaler.unscale_(self.adamw)
        norm = nonfinite.gradient_norm(self.parameters)
        try:
            # half precision overflows now and then: the scaler leaves such a step out
            self.finite.check(self.step, loss, loss if self.scaler.is_enabled() else norm)
        except nonfinite.NonFiniteStep as bad:
            raise self._diverged(bad, x) from None
        if self.task.train.clip_norm is not None:
            clip(self.parameters, self.task.train.clip_norm)
        self.scaler.step(self.adamw)
        self.scaler.update()
        self.schedule.step()
        self.losses.append(loss * len(x))

    def _precision(self) -> AbstractContextManager[None]:
        return autocast(self.task.train.precision, self.device)

    def _keep_best(self, validation: Scores) -> None:
        score = validation[self.objective.primary]
        if self.objective.better(score, self.best.score):
            weights = {name: t.detach().clone() for name, t in trained_state(self.model).items()}
            self.best = Best(score, self.epoch, validation, weights)

    # --- measuring

    def evaluate(self, indices: np.ndarray) -> tuple[Scores, list[list[int]] | None]:
        outputs, targets = self.outputs(indices)
        return self.objective.measure(outputs, targets), self.objective.confusion(outputs, targets)

    @torch.no_grad()
    def outputs(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        self.model.eval()
        pairs = []
        for x, y in self.batches.of(indices):
            with self._precision():
                pairs.append((self.model(x).float(), y))
        outputs, targets = (torch.cat(part) for part in zip(*pairs, strict=True))
        return outputs, targets

    def _test(self) -> Outcome:
        last = {name: t.detach().clone() for name, t in trained_state(self.model).items()}
        test_last, confusion_last = self.evaluate(self.data.split.test)
        restore(self.model, self.best.weights)
        test_best, confusion_best = self.evaluate(self.data.split.test)
        confusion = {"test_last": confusion_last, "test_best": confusion_best}
        kept = last if self.task.weights == "last" else self.best.weights
        return Outcome(
            test_last,
            test_best,
            self.best.scores,
            self.best.epoch,
            self.epoch - 1,
            confusion,
            {} if self.task.weights == "none" else kept,
        )

    def _out_of_memory(self, x: Tensor) -> OutOfMemory:
        self.adamw.zero_grad(set_to_none=True)
        where = f"epoch {self.epoch}, step {self.step + 1}"
        said = memory.advice(self.model, x, self.free_at_first)
        return OutOfMemory(f"out of memory in {where} with batch_size {len(x)}: {said}")

    def _diverged(self, bad: nonfinite.NonFiniteStep, x: Tensor) -> Diverged:
        """What, where, and since when. On a GPU the bad step may be a few steps back."""
        what = (
            f"the loss was {bad.loss:g}"
            if not np.isfinite(bad.loss)
            else (f"the gradient's norm was {bad.norm:g}")
        )
        tensor = nonfinite.first_bad_output(self.model, x)
        where = f"the output of {tensor}" if tensor else None
        if where is None and (name := nonfinite.first_bad_gradient(self.model)):
            where = f"the gradient of {name}"
        first = f"; first not finite: {where}" if where else ""
        return Diverged(
            f"{what} in epoch {self.epoch}, step {bad.step + 1}{first}. "
            f"A lower lr than {self.task.train.lr:g} helps, or warm_up or clip_norm"
        )


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    if (kind := kinds.get(precision)) is None:
        return nullcontext()
    return torch.autocast(device.type, kind)


def _scaler(train: config.Train, device: torch.device) -> Any:
    """Of half precision's small gradients; the name moved between the two stacks."""
    enabled = train.precision == "fp16"
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device.type, enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled)

"""The training loop: a task's model and data in, metrics per epoch and at the end out.

`Fit.state()` is all that an interrupted run needs to continue. Random draws are named by seed, fold
and epoch, so beside weights and optimiser it holds little more than the position in the epoch.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from petl import config
from petl.backbones.encoder import Origin
from petl.config.kinds import metric
from petl.data.load import TaskData
from petl.errors import UserError
from petl.methods.subset import start_epoch
from petl.model.build import Model, restore, trained_state
from petl.runs.result import Result
from petl.train.batches import Batches
from petl.train.failures import memory, nonfinite
from petl.train.failures.kinds import Diverged, OutOfMemory, is_out_of_memory
from petl.train.metrics import objective
from petl.train.optim import clip, filled, optimiser, schedule
from petl.train.outcome import Best, Outcome, kept, measured, result_of
from petl.train.seeding import derive
from petl.train.watcher import EpochMetrics, State, Watcher


class Fit:
    """A model while it trains."""

    def __init__(self, model: Model, data: TaskData, task: config.Task):
        self.model, self.data, self.task = model, data, task
        self.device = next(model.parameters()).device
        if task.train.precision == "fp16" and self.device.type == "cpu":
            raise UserError("train.precision: fp16 needs a GPU; a CPU computes in bf16 or float32")
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
        self.watcher = Watcher()
        self.free_at_start = memory.free_bytes(self.device)

    @property
    def late(self) -> bool:
        """May a step that is not finite be found some steps later?"""
        return self.finite.delayed

    @property
    def origin(self) -> Origin:
        """Of the backbone."""
        return self.model.backbone.origin

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
        # last: nothing may draw between here and the next step, which continues this dropout
        torch.set_rng_state(state["random"])
        if state["random_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_gpu"])

    def expected(self, given: State) -> State:
        """What a checkpoint of this run looks like that has come as far as the given one."""
        own = self.state()
        own["adamw"]["state"] = filled(self.adamw, given["adamw"]["state"])
        own["best"]["weights"] = own["weights"] if given["best"]["weights"] else {}
        own["best"]["scores"] = dict.fromkeys(given["best"]["scores"], 0.0)
        own["losses"] = given["losses"].new_empty(given["step"], device="meta")
        if self.device.type == "cpu":
            own["random_gpu"] = given["random_gpu"]
        torch.Generator().set_state(given["random"])
        if _order(given) != _order(own) or not given["losses"].is_floating_point():
            raise ValueError("a checkpoint of another run")
        return own

    # --- training, from wherever it is

    def run(self, watcher: Watcher | None = None) -> Outcome:
        """Train to the end; test the last weights and those with the best validation."""
        self.watcher = watcher = watcher or self.watcher
        while not self._is_over():
            watcher.epoch(self, self._epoch(watcher))
        return self._test()

    def _is_over(self) -> bool:
        patience = self.task.train.patience
        without_progress = self.epoch - 1 - self.best.epoch
        stops_early = patience is not None and without_progress >= patience
        return self.epoch > self.task.train.epochs or stops_early

    def _epoch(self, watcher: Watcher) -> EpochMetrics:
        started = time.perf_counter()
        if self.step == 0:  # in the middle of an epoch, the restored generator continues
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
        indices = self.data.split.validation
        validation = self.objective.measure(*self.outputs(indices), self.data.songs_of(indices))
        score = metric(self.task.best_by).rank(validation[self.task.best_by])
        if self.best.is_beaten_by(score, self.task.train.min_improvement):
            self.best = Best(score, self.epoch, validation, self._weights())
        metrics = {
            "epoch": self.epoch,
            "train_loss": train_loss,
            **{f"val_{name}": value for name, value in validation.items()},
            "lr": self.lr,
            "seconds": self.seconds + time.perf_counter() - started,
        }
        self.epoch, self.step, self.seconds, self.losses = self.epoch + 1, 0, 0.0, []
        return metrics

    def _step_fits(self, x: Tensor, y: Tensor) -> bool:
        """False if out of memory.

        An exception keeps its frames, and they keep the tensors of the failed step. Here it ends,
        so that they are free again before the message measures what would fit.
        """
        try:
            self._step(x, y)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _step(self, x: Tensor, y: Tensor) -> None:
        """Forward and backward, in micro-batches if the task says so, then one optimiser step.

        fp16: the loss is multiplied by a scale S, so that small gradients do not become zero, and
        `unscale_` divides the gradients by S before anything reads them. If S was too large they
        overflow: `scaler.step` then leaves the step out and `update` halves S. That is normal, so
        with fp16 only the loss has to be finite.
        """
        piece = self.task.train.micro_batch or len(x)
        self.adamw.zero_grad(set_to_none=True)
        losses = []
        for piece_x, piece_y in zip(x.split(piece), y.split(piece), strict=True):
            with autocast(self.task.train.precision, self.device):
                mean = self.objective.loss(self.model(piece_x), piece_y)
                loss = mean * (len(piece_x) / len(x))
            self.scaler.scale(loss).backward()
            losses.append(loss.detach())
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        self.scaler.unscale_(self.adamw)
        norm = nonfinite.gradient_norm(self.parameters)
        try:
            self.finite.check(self.step, loss, loss if self.scaler.is_enabled() else norm)
        except nonfinite.NonFiniteStep as bad:
            raise self._diverged(bad, x) from None
        if self.task.train.clip_norm is not None:
            clip(self.parameters, self.task.train.clip_norm)
        self.scaler.step(self.adamw)
        self.scaler.update()
        self.schedule.step()
        self.losses.append(loss * len(x))

    # --- measuring

    @torch.no_grad()
    def outputs(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        self.model.eval()
        pairs = []
        for x, y in self.batches.of(indices):
            with autocast(self.task.train.precision, self.device):
                pairs.append((self.model(x).float(), y))
            self.watcher.batch()
        outputs, targets = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
        return outputs, targets

    def _weights(self) -> dict[str, Tensor]:
        return {name: t.detach().clone() for name, t in trained_state(self.model).items()}

    def _test(self) -> Outcome:
        """After the last epoch, then with the weights of the best one."""
        last, test = self._weights(), self.data.split.test
        tested = {"test_last": self.outputs(test)}
        restore(self.model, self.best.weights)
        tested["test_best"] = self.outputs(test)
        weights = kept(self.task.weights, last, self.best.weights)
        return measured(
            self.objective,
            tested,
            self.data.songs_of(test),
            self.best,
            epochs=self.epoch - 1,
            weights=weights,
        )

    def result(self, outcome: Outcome, **facts: Any) -> Result:
        return result_of(self.task, self.data, self.model, outcome, **facts)

    def files(self) -> dict[str, bytes]:
        """What else the run's folder shows of the training: nothing."""
        return {}

    # --- failing

    def _out_of_memory(self, x: Tensor) -> OutOfMemory:
        self.adamw.zero_grad(set_to_none=True)
        where = f"epoch {self.epoch}, step {self.step + 1}"
        advice = memory.advice(self.model, x, self.free_at_start)
        return OutOfMemory(f"out of memory in {where} with batch_size {len(x)}: {advice}")

    def _diverged(self, bad: nonfinite.NonFiniteStep, x: Tensor) -> Diverged:
        """What, where, and which tensor first. On a GPU the bad step may be a few steps back."""
        value = f"gradient norm is {bad.norm:g}"
        if not math.isfinite(bad.loss):
            value = f"loss is {bad.loss:g}"
        tensor = nonfinite.first_bad_tensor(self.model, x)
        first = f"; first not finite: {tensor}" if tensor else ""
        return Diverged(
            f"the {value} in epoch {self.epoch}, step {bad.step + 1}{first}. "
            f"Try a learning rate lower than {self.task.train.lr:g}, warm_up, or clip_norm"
        )


def _order(state: State) -> list[list[int]]:
    """Which parameters the optimiser's groups have."""
    return [group["params"] for group in state["adamw"]["param_groups"]]


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    if (kind := kinds.get(precision)) is None:
        return nullcontext()
    return torch.autocast(device.type, kind)


def _scaler(train: config.Train, device: torch.device) -> Any:
    """The gradient scaler of fp16, which does nothing otherwise; torch 2 has moved it."""
    enabled = train.precision == "fp16"
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device.type, enabled=enabled)
    return torch.cuda.amp.GradScaler(enabled=enabled)

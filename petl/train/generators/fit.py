"""The training loop of a generator, with the same face as `Fit` in petl/train/loop.py.

Every draw of a step is named by seed, fold, epoch and step, so `state()` is no more than weights,
optimisers, the position in the epoch, and what has been seen so far.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from petl import config
from petl.backbones.hub import Hub
from petl.data.load import TaskData
from petl.generate.build import build
from petl.generate.collapse import CERTAIN_STEPS, NORMS, Watch
from petl.runs import gpus
from petl.runs.result import Result
from petl.train.failures.kinds import Collapsed, Diverged, OutOfMemory, is_out_of_memory
from petl.train.generators.clips import TrainingClips
from petl.train.generators.looks import Looks
from petl.train.generators.outcome import Measuring, outcome_of, result_of
from petl.train.optim import filled
from petl.train.outcome import Outcome
from petl.train.seeding import generator, seeded
from petl.train.watcher import EpochMetrics, State, Watcher


class GeneratorFit:
    """A generator while it trains."""

    late = False
    """A step that is not finite is found at once, never some steps later."""

    def __init__(self, data: TaskData, task: config.Task, hub: Hub | None = None):
        assert task.generator is not None
        self.data, self.task, self.settings = data, task, task.generator
        self.device = gpus.device()
        self.clips = TrainingClips(data, task, self.device)
        with seeded(task.seed, task.fold, "init"):
            self.generator = build(self.settings, self.clips.space).to(self.device)
        self.generator.begin(task.train)
        self.looks = Looks(self.clips, task)
        self.measuring = Measuring(data, task, hub)
        self.epoch, self.step, self.seconds, self.trained_s = 1, 0, 0.0, 0.0
        self.curves: dict[str, list[Any]] = {}
        """Of this epoch: the sum of each over its steps, and their number."""
        self.collapse = Watch()
        self.good_epoch = 0
        self.good_weights: dict[str, Tensor] = {}
        """The averaged weights of the last look at which nothing was wrong."""
        self.watcher = Watcher()

    @property
    def origin(self) -> object:
        return self.measuring.origin

    # --- what a checkpoint holds

    def state(self) -> State:
        optimisers = self.generator.optimisers.items()
        return {
            "generator": dict(self.generator.state_dict()),
            "optimisers": {name: each.state_dict()["state"] for name, each in optimisers},
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "trained_s": self.trained_s,
            "curves": self.curves,
            "looks": self.looks.state(),
            "collapse": self.collapse.state_dict(),
            "good": {"epoch": self.good_epoch, "weights": self.good_weights},
        }

    def restore(self, state: State) -> None:
        self.generator.load_state_dict(state["generator"])
        for name, optimiser in self.generator.optimisers.items():
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": state["optimisers"][name], "param_groups": groups})
        self.epoch, self.step = state["epoch"], state["step"]
        self.seconds, self.trained_s = state["seconds"], state["trained_s"]
        self.curves = {name: list(sums) for name, sums in state["curves"].items()}
        self.looks.restore(state["looks"])
        self.collapse.load_state_dict(state["collapse"])
        self.good_epoch, self.good_weights = state["good"]["epoch"], state["good"]["weights"]

    def expected(self, given: State) -> State:
        """What a checkpoint of this run looks like that has come as far as the given one."""
        own = self.state()
        for name, optimiser in self.generator.optimisers.items():
            own["optimisers"][name] = filled(optimiser, given["optimisers"][name])
        own["curves"] = {name: [0.0, 0] for name in given["curves"] if name.isidentifier()}
        own["looks"] = self.looks.expected(given["looks"])
        own["collapse"] = _expected(given["collapse"])
        own["good"]["weights"] = self._average() if given["good"]["weights"] else {}
        if not 0 <= given["step"] <= self.clips.steps:
            raise ValueError(f"an epoch of this run has {self.clips.steps} steps")
        return own

    # --- training, from wherever it is

    def run(self, watcher: Watcher | None = None) -> Outcome:
        self.watcher = watcher = watcher or self.watcher
        try:
            while self.epoch <= self.task.train.epochs:
                watcher.epoch(self, self._epoch(watcher))
        except (Collapsed, Diverged):
            if self.good_weights:
                watcher.leave(self.good_weights, self.good_epoch)
            raise
        return outcome_of(self)

    def _epoch(self, watcher: Watcher) -> EpochMetrics:
        started = time.perf_counter()
        self.generator.train()
        for clips, conditions in self.clips.batches(self.epoch, self.step):
            self._step(clips, conditions)
            self.step += 1
            self.seconds += time.perf_counter() - started
            started = time.perf_counter()
            watcher.step(self)
        means = {name: total / number for name, (total, number) in self.curves.items()}
        seen = self._look() if self._looks() else {}
        seconds = self.seconds + time.perf_counter() - started
        metrics = {
            "epoch": self.epoch,
            "train_loss": means.get("loss", means.get("loss_generator", math.nan)),
            **{name: mean for name, mean in means.items() if name != "loss"},
            **seen,
            "lr": self.task.train.lr,
            "seconds": seconds,
        }
        self.trained_s += seconds
        self.epoch, self.step, self.seconds, self.curves = self.epoch + 1, 0, 0.0, {}
        return metrics

    def _step(self, clips: Tensor, conditions: Tensor) -> None:
        draws = generator(self.task.seed, self.task.fold, f"step {self.step}", self.epoch)
        where = f"epoch {self.epoch}, step {self.step + 1}"
        try:
            told = self.generator.fit(clips, conditions, draws)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"out of memory in {where} with {len(clips)} clips of {self.task.dataset.frames} "
                f"frames: a smaller train.micro_batch than "
                f"{self.task.train.micro_batch or len(clips)} needs less and gives the same step"
            ) from None
        values = torch.stack([value.detach().double() for value in told.values()]).tolist()
        numbers = dict(zip(told, values, strict=True))
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise Diverged(
                    f"{name} is {value:g} in {where}. Try a learning rate lower than "
                    f"{self.task.train.lr:g}, or train.clip_norm{self._left()}"
                )
            sums = self.curves.setdefault(name, [0.0, 0])
            sums[0], sums[1] = sums[0] + value, sums[1] + 1
        if verdict := self.collapse.step(numbers):
            raise self._collapsed(verdict, where)

    # --- looking

    def _looks(self) -> bool:
        return self.epoch % self.settings.look_every == 0 or self.epoch == self.task.train.epochs

    def _look(self) -> EpochMetrics:
        made = self.looks.look(self.generator, self.epoch)
        diversity = self.looks.diversity(made)
        if not math.isfinite(diversity):
            raise Diverged(f"a sample is not finite after epoch {self.epoch}{self._left()}")
        if verdict := self.collapse.look(diversity):
            raise self._collapsed(verdict, f"epoch {self.epoch}")
        if not self.collapse.low:
            self.good_epoch, self.good_weights = self.epoch, self._average()
        distance = self.measuring.cheap(made)  # NaN for a single validation clip
        known = {"val_kernel_distance_mel": distance} if math.isfinite(distance) else {}
        return {"diversity": diversity, **known}

    def _average(self) -> dict[str, Tensor]:
        average = self.generator.average.state_dict().items()
        return {name: tensor.detach().clone() for name, tensor in average}

    def _collapsed(self, verdict: str, where: str) -> Collapsed:
        return Collapsed(
            f"collapsed in {where}: {verdict}. Try {self.generator.advice}{self._left()}"
        )

    def _left(self) -> str:
        if not self.good_weights:
            return ""
        return f"; weights.safetensors has the averaged weights of epoch {self.good_epoch}"

    def files(self) -> dict[str, bytes]:
        """Beside the metrics, and as new as they are."""
        picture = self.looks.picture()
        return {} if picture is None else {"samples.png": picture}

    # --- in the end

    def result(self, outcome: Outcome, **facts: Any) -> Result:
        return result_of(self, outcome, **facts)


def _expected(given: State) -> State:
    """What the state of a `Watch` looks like that has seen as much as the given one."""
    names = [name for name in given["norms"] if name.isidentifier()]
    return {
        "certain": [True] * min(len(given["certain"]), CERTAIN_STEPS),
        "norms": {name: [0.0] * min(len(given["norms"][name]), NORMS) for name in names},
        "large": dict.fromkeys(names, 0),
        "looks": 0,
        "low": 0,
    }

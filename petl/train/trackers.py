"""Metrics for dashboards, in addition to metrics.jsonl: TensorBoard, Weights & Biases.

Their packages are imported when a run asks for them. They write beside the run directories, by run
id, so that a resumed run continues its curves. After the start, a tracker's error is a warning.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from petl.config import Task
from petl.errors import UserError, nearest
from petl.runs.directory import RunDir
from petl.runs.result import Result

log = logging.getLogger(__name__)


class Tracker(Protocol):
    def epoch(self, metrics: dict[str, Any]) -> None:
        """Take a line of metrics.jsonl."""

    def end(self, result: Result | None) -> None:
        """Take result.json, or None if the run ends without one."""


class TensorBoard:
    """In <runs>/<study>/tensorboard/<run id>: `tensorboard --logdir <runs>/<study>/tensorboard`."""

    def __init__(self, run: RunDir, task: Task):
        from torch.utils.tensorboard.writer import SummaryWriter

        folder = run.path.parent / "tensorboard" / task.run_id
        done = len(run.metrics())
        # a killed run trains again what it wrote after its last checkpoint: drop that first
        self.writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)
        if not done:
            self.writer.add_text("task", f"```\n{json.dumps(task.to_json(), indent=1)}\n```")

    def epoch(self, metrics: dict[str, Any]) -> None:
        for name, value in metrics.items():
            if name != "epoch":
                self.writer.add_scalar(_tag(name), value, metrics["epoch"])
        self.writer.flush()

    def end(self, result: Result | None) -> None:
        for name, value in _final(result).items():
            self.writer.add_scalar(name, value, result["epochs"] if result else 0)
        self.writer.close()


class WandB:
    """A W&B project for each study, a W&B run for each run, under the run id."""

    def __init__(self, run: RunDir, task: Task):
        import wandb

        names = task.names
        self.run = wandb.init(
            project=names.study,
            id=task.run_id,
            resume="allow",
            name=f"{names.dataset} {names.method} fold {task.fold} seed {task.seed}",
            group=f"{names.dataset} {names.backbone} {names.method}",
            config=task.to_json(),
            dir=str(run.path.parent),
        )
        # the x axis is the epoch, not W&B's own count: a resumed run logs some epochs again
        self.run.define_metric("*", step_metric="epoch")

    def epoch(self, metrics: dict[str, Any]) -> None:
        self.run.log({_tag(name): value for name, value in metrics.items()})

    def end(self, result: Result | None) -> None:
        self.run.summary.update(_final(result))
        self.run.finish(exit_code=0 if result else 1)


KNOWN: dict[str, Callable[[RunDir, Task], Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB}


class Trackers:
    """The trackers of a run. One that fails is turned off, so that it cannot end the run."""

    def __init__(self) -> None:
        self.started: dict[str, Tracker] = {}

    def start(self, names: Sequence[str], run: RunDir, task: Task) -> None:
        """Start each once; call this when metrics.jsonl shows how far the run is."""
        check(names)
        for name in dict.fromkeys(names):
            try:
                self.started[name] = KNOWN[name](run, task)
            except Exception as error:  # not logged in, no network, another version
                why = (str(error).strip() or type(error).__name__).splitlines()[0]
                offline = "; WANDB_MODE=offline needs no login and no network" * (name == "wandb")
                raise UserError(f"{name} does not start: {why}{offline}") from error

    def epoch(self, metrics: dict[str, Any]) -> None:
        self._each(lambda tracker: tracker.epoch(metrics))

    def end(self, result: Result | None) -> None:
        self._each(lambda tracker: tracker.end(result))
        self.started.clear()

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.started.items()):
            try:
                call(tracker)
            except Exception as error:  # a dashboard that fails must not end the run
                del self.started[name]
                log.warning("%s failed and is off: %s; metrics.jsonl continues", name, error)


def check(names: Sequence[str]) -> None:
    """Refuse trackers that petl does not know or that are not installed, before a job is queued."""
    for name in names:
        if name not in KNOWN:
            raise UserError(f"there is no tracker '{name}'{nearest(name, KNOWN)}")
        if find_spec(name) is None:
            raise UserError(f"tracking with {name} needs its package: pip install {name}")


def _tag(name: str) -> str:
    """`val_loss` -> `val/loss`: dashboards group by the word before the slash."""
    part, _, metric = name.partition("_")
    return f"{part}/{metric}" if part in ("train", "val") and metric else name


def _final(result: Result | None) -> dict[str, float]:
    """`test_last/accuracy`, `val_best/loss`, ..."""
    parts: Mapping[str, Any] = result["metrics"] if result else {}
    return {
        f"{part}/{name}": value for part, scores in parts.items() for name, value in scores.items()
    }

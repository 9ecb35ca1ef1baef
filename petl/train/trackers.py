"""Metrics for people's dashboards, beside metrics.jsonl: TensorBoard, Weights & Biases.

Their packages are imported when a run asks for them. What they write lies beside the run
directories, by run id, and a run that resumes goes on in the same place. Once training has begun,
trouble with a dashboard is a warning: it ends no run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from petl.config import Task
from petl.errors import UserError, nearest
from petl.runs.directory import RunDir
from petl.runs.result import Result

log = logging.getLogger(__name__)


class Tracker(Protocol):
    def row(self, row: dict[str, Any]) -> None:
        """An epoch's metrics, as in metrics.jsonl."""

    def end(self, result: Result | None) -> None:
        """result.json, or None when the run ends without one."""


class TensorBoard:
    """In <runs>/<study>/tensorboard/<run id>: `tensorboard --logdir <runs>/<study>/tensorboard`."""

    def __init__(self, run: RunDir, task: Task):
        from torch.utils.tensorboard import SummaryWriter

        folder = run.path.parent / "tensorboard" / task.run_id
        done = len(run.metrics())
        # what a killed run wrote after its last checkpoint is going to be written again
        self.writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)
        if not done:
            self.writer.add_text("task", f"```\n{json.dumps(task.to_json(), indent=1)}\n```")

    def row(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(_tag(name), value, row["epoch"])
        self.writer.flush()

    def end(self, result: Result | None) -> None:
        for name, value in _final(result).items():
            self.writer.add_scalar(name, value, result["epochs"] if result else 0)
        self.writer.close()


class WandB:
    """One W&B run for each run, under its id; a study is a project. WANDB_MODE=offline works."""

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
        # by epoch, not by W&B's own count: a resumed run trains some epochs again
        self.run.define_metric("*", step_metric="epoch")

    def row(self, row: dict[str, Any]) -> None:
        self.run.log({_tag(name): value for name, value in row.items()})

    def end(self, result: Result | None) -> None:
        self.run.summary.update(_final(result))
        self.run.finish(exit_code=0 if result else 1)


class Careful:
    """Lets a tracker's first error be its last."""

    def __init__(self, name: str, tracker: Tracker):
        self.name, self.tracker = name, tracker
        self.works = True

    def row(self, row: dict[str, Any]) -> None:
        self._try(lambda: self.tracker.row(row))

    def end(self, result: Result | None) -> None:
        self._try(lambda: self.tracker.end(result))

    def _try(self, call: Callable[[], None]) -> None:
        if not self.works:
            return
        try:
            call()
        except Exception as error:
            self.works = False
            log.warning("%s stopped working: %s; metrics.jsonl goes on", self.name, error)


KNOWN: dict[str, Callable[[RunDir, Task], Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB}


def check(names: Sequence[str]) -> None:
    """Are these trackers known, and installed? To be asked before anything is submitted."""
    for name in names:
        if name not in KNOWN:
            raise UserError(f"there is no tracker '{name}'{nearest(name, KNOWN)}")
        if find_spec(name) is None:
            raise UserError(
                f"tracking with {name} needs a package that is not installed here: "
                f"pip install {name}"
            )


def trackers(names: Sequence[str], run: RunDir, task: Task) -> list[Tracker]:
    """Each name once; to be called when metrics.jsonl says how far the run is."""
    names = list(dict.fromkeys(names))
    check(names)
    started: list[Tracker] = []
    for name in names:
        try:
            started.append(Careful(name, KNOWN[name](run, task)))
        except Exception as error:  # no login, no network, a package of another age
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            offline = "; WANDB_MODE=offline needs neither login nor network"
            raise UserError(
                f"{name} does not start: {reason}{offline if name == 'wandb' else ''}"
            ) from error
    return started


def _tag(name: str) -> str:
    """`val_loss` -> `val/loss`: dashboards group by what is before the slash."""
    part, _, metric = name.partition("_")
    return f"{part}/{metric}" if part in ("train", "val") and metric else name


def _final(result: Result | None) -> dict[str, float]:
    """`test_last/accuracy`, `val_best/loss`, ..."""
    parts = result["metrics"].items() if result else ()
    return {f"{part}/{name}": value for part, scores in parts for name, value in scores.items()}

"""One process's attempt at a run: continue where the last one stopped, save, record the end."""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import torch

from petl import config
from petl.backbones.hub import Hub
from petl.backbones.library import revision_of
from petl.config.options import Options
from petl.data.load import TaskData, load
from petl.errors import UserError
from petl.files import (
    append_json_line,
    json_lines,
    open_to_append,
    write_atomic,
    write_json,
)
from petl.generate.pool import synthetic_clips
from petl.places import Places
from petl.runs import gpus
from petl.runs.claim import Claim
from petl.runs.code.archive import running
from petl.runs.code.tries import CodeOfTries
from petl.runs.directory import RunDir
from petl.runs.machine import record_machine
from petl.runs.provenance import environment
from petl.runs.reading import content_of, epochs_of
from petl.runs.result import Result
from petl.train.checkpoint import Checkpoints, check, read, save_weights
from petl.train.failures.kinds import Diverged, Interrupted, failure_class
from petl.train.frozen import compute_once, told
from petl.train.generators.fit import GeneratorFit
from petl.train.loop import Fit
from petl.train.objectives.build import build, refuse_padding
from petl.train.outcome import Outcome
from petl.train.regression import answers
from petl.train.seeding import derive, seeded
from petl.train.trackers import Trackers
from petl.train.watcher import EpochMetrics, Watcher


@dataclass
class Attempt(Watcher):
    """One process's attempt at a run, from the last checkpoint to a result or a failure."""

    task: config.Task
    run: RunDir
    claim: Claim
    options: Options
    on_epoch: Callable[[EpochMetrics], None]
    stop: Callable[[], bool]

    def __post_init__(self) -> None:
        minutes = self.options.checkpoint_minutes
        self.checkpoints = Checkpoints(self.run, minutes, self.claim.check)
        self.began = time.monotonic()
        self.earlier_s, self.tries = 0.0, 1
        self.codes = CodeOfTries(running())
        self.rows: list[EpochMetrics] = []
        """The lines of metrics.jsonl; a checkpoint has them too, so that the file can be mended."""
        self.written: dict[str, bytes] = {}
        self.trackers = Trackers()
        self.frozen = ""

    def carry_out(self, places: Places) -> Result:
        self.places, self.hub = places, Hub.of(places)
        now = datetime.now().astimezone()
        self.log(f"{self.task}  (run {self.task.run_id}, {now:%Y-%m-%d %H:%M:%S %Z})")
        with _torch_set_up(self.task, self.options):
            data = load(self.task, places, self._progress)
            if self.task.objective is not None:
                refuse_padding(self.task, data)
            if self.task.augment is not None:
                seed = derive(self.task.seed, self.task.fold, "synthetic clips")
                made = synthetic_clips(self.task, data, places, seed, self._progress)
                data = replace(data, synthetic=made)
            data_s = self._seconds()
            outcome = self._train(data)
        result = self.fit.result(
            outcome,
            frozen=self.frozen,
            timing={"seconds": self._seconds(), "data_seconds": data_s, "tries": self.tries},
            environment={
                **environment(self.codes.to_json()),
                "machine": record_machine(self.run.path.parents[1]),
                "backbone_revision": self.revision,
            },
        )
        self._mend_metrics()
        self._write_files()
        if predictions := answers(self.task, data, outcome.outputs):
            write_atomic(self.run.predictions_file, predictions, check=self.claim.check)
        if outcome.weights:
            kind = self.task.weights.removesuffix("-if-small")
            if self.task.generator is not None:
                kind = "average"
            epoch = outcome.epochs if kind == "last" else outcome.best_epoch
            save_weights(self.run, outcome.weights, kind, epoch, self.claim.check)
        write_json(self.run.result_file, result, self.claim.check)
        self.checkpoints.remove()
        self.log(f"done: {result['metrics']}")
        self.trackers.end(result)
        return result

    def _train(self, data: TaskData) -> Outcome:
        self._resume(data)
        self.log(f"{self.task.backbone.source}: {self.fit.origin}")
        self.trackers.start(self.options.track, self.run, self.task)
        try:
            return self.fit.run(self)
        except Diverged:
            if not self.fit.late:
                raise
        # the verdict came late: steps since then have spread NaNs over all weights, which hides
        # the tensor where they began, so train again from the last checkpoint and look at each step
        self.log("a step was not finite: train again from the last checkpoint, check every step")
        self._resume(data)
        self.fit.finite.delayed = False
        return self.fit.run(self)

    def _fit(self, data: TaskData) -> Fit | GeneratorFit:
        if self.task.generator is not None:
            self.revision = revision_of(self.task.backbone.source, self.hub)
            return GeneratorFit(data, self.task, self.hub)
        device = gpus.device()
        with seeded(self.task.seed, self.task.fold, "init"):
            model = build(self.task, data.statistics, self.hub).to(device)
        self.revision = revision_of(self.task.backbone.source, self.hub)
        if self.task.train.frozen == "cached":
            progress = told(self._progress, self.log)
            data, self.frozen = compute_once(model, data, self.task, self.places.cache, progress)
            self.log(f"train.frozen: {self.frozen}")
        return Fit(model, data, self.task)

    def _resume(self, data: TaskData) -> None:
        """Continue from the newest checkpoint that is whole and of this run, or from the start."""
        self.fit, self.rows = self._fit(data), []
        if self.revision:
            self.log(f"{self.task.backbone.source} of Hugging Face, commit {self.revision}")
        for file in self.checkpoints.files():
            try:
                state = read(file)
                check(state, self.fit, self.task.run_id)
            except ValueError as error:
                self.log(f"{file.name}: {error}; it is not used")
                continue
            self.fit.restore(state["fit"])
            # sums over another number of threads round differently
            torch.set_num_threads(state.get("threads", torch.get_num_threads()))
            self.rows, self.earlier_s = state["rows"], state["seconds"]
            self.tries = state["tries"] + 1
            self.codes.resume(state.get("codes", []), self.tries, self.fit.epoch)
            self.log(f"continues in epoch {self.fit.epoch}, after step {self.fit.step}")
            break
        self._mend_metrics()

    def _mend_metrics(self) -> None:
        """Let metrics.jsonl have the epochs of the checkpoint: all of them, each once.

        An epoch's line is written before the checkpoint that counts the epoch, so after a kill
        there may be a line too many: that epoch is going to train again. Anything else is damage.
        Trackers start after this, because they read from the file how far the run is.
        """
        self.claim.check()
        file, wanted = self.run.metrics_file, json_lines(self.rows)
        found, wrong = content_of(file)
        if found == wanted or not (found or wrong or wanted):
            return
        done = f"epoch {len(self.rows)}" if self.rows else "the start"
        if wrong or epochs_of(found)[1] or not (found or b"").startswith(wanted):
            self.run.set_aside(file)
            self.log(f"{file.name}: restored up to {done}; a damaged one is kept as *.damaged")
        else:
            self.log(f"{file.name}: cut after {done}")
        write_atomic(file, wanted, check=self.claim.check)

    # --- while it trains

    def step(self, fit: Fit) -> None:
        self.claim.touch()
        if self.stop():
            self._save()
            raise Interrupted(f"{self.run.path}: asked to stop")
        if self.checkpoints.due(epoch_ends=False):
            self._save()

    def epoch(self, fit: Fit, metrics: EpochMetrics) -> None:
        self.claim.check()
        append_json_line(self.run.metrics_file, metrics)
        self.rows.append(metrics)
        self.log("  ".join(f"{name} {_short(value)}" for name, value in metrics.items()))
        self.on_epoch(metrics)
        self.trackers.epoch(metrics)
        self._write_files()
        if self.checkpoints.due(epoch_ends=True):
            self._save()
        self.claim.touch()

    def batch(self) -> None:
        self.claim.touch()

    def leave(self, weights: dict[str, torch.Tensor], epoch: int) -> None:
        save_weights(self.run, weights, "last-good", epoch, self.claim.check)

    def _progress(self, done: int, clips: int) -> None:
        self.claim.touch()

    def _write_files(self) -> None:
        for name, content in self.fit.files().items():
            if self.written.get(name) != content:
                write_atomic(self.run.path / name, content, check=self.claim.check)
                self.written[name] = content

    def _save(self) -> None:
        progress = {"rows": self.rows, "seconds": self._seconds(), "tries": self.tries}
        progress["threads"] = torch.get_num_threads()
        state = {"run_id": self.task.run_id, "fit": self.fit.state(), "codes": self.codes.rows}
        self.checkpoints.save(state | progress)

    def _seconds(self) -> float:
        return self.earlier_s + time.monotonic() - self.began

    # --- in the end

    def fail(self, error: Exception) -> None:
        lines = str(error).strip().splitlines()
        fit = getattr(self, "fit", None)  # there is none if the data or the model do not load
        failure = {
            "class": failure_class(error),
            "kind": type(error).__name__,
            "message": lines[0] if lines else type(error).__name__,
            "traceback": traceback.format_exc(),
            "epoch": fit.epoch if fit else 0,
            "host": socket.gethostname(),
            "when": time.time(),
        }
        # a full disk has no space for this either, and log.txt may be a link
        with suppress(OSError, UserError):
            self.log(traceback.format_exc())
        with suppress(OSError, UserError):
            write_json(self.run.failure_file, failure)

    def log(self, line: str) -> None:
        """Append to log.txt, so that the end of an earlier attempt stays readable."""
        with os.fdopen(open_to_append(self.run.log_file), "a", encoding="utf-8") as file:
            file.write(line.rstrip() + "\n")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@contextmanager
def _torch_set_up(task: config.Task, options: Options) -> Iterator[None]:
    """Set the threads, and restore afterwards what a run changes of torch's global state."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if task.train.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(task.train.deterministic or before)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.use_deterministic_algorithms(before)

"""The run directory: what each file is called, who writes it, and what state it means.

    runs/<study>/<run id>/
      task.json       the resolved task, written first
      claim.json      who works on it now; gone when nobody does
      metrics.jsonl   one line per epoch
      resume.pt       how far it is, exactly; resume.before.pt the time before: gone at success
      result.json     written last: its presence IS success, nothing else decides
      failure.json    why the last try failed, and its class; gone when the next try starts
      weights.safetensors   what was trained, when the study keeps it
      log.txt         what a person reads then

task.json and result.json are the truth. claim.json and metrics.jsonl are advice about a run that
is under way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from petl.claim import is_alive
from petl.config import Task
from petl.errors import UserError
from petl.files import json_lines, read_json, read_json_lines, write_atomic, write_json

SCHEMA = 1
RUN_ID = re.compile(r"[0-9a-f]{16}")
BULKY = frozenset({"task", "classes", "confusion"})
"""What of a result is long and says little about very many runs."""

Kind = Literal["done", "running", "failed", "stopped", "waiting"]


@dataclass(frozen=True)
class State:
    """`reason` is for a person: `epoch 3/20`, or the failure's one line."""

    kind: Kind
    reason: str = ""
    epoch: int = 0


class RunDir:
    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def of(cls, task: Task, runs: Path) -> RunDir:
        return cls(runs / task.names.study / task.run_id)

    # --- its files; made when asked for, because a plan holds 100,000 of these

    @property
    def task_file(self) -> Path:
        return self.path / "task.json"

    @property
    def claim_file(self) -> Path:
        return self.path / "claim.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def result_file(self) -> Path:
        return self.path / "result.json"

    @property
    def failure_file(self) -> Path:
        return self.path / "failure.json"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def weights_file(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def resume_file(self) -> Path:
        return self.path / "resume.pt"

    @property
    def older_resume_file(self) -> Path:
        return self.path / "resume.before.pt"

    # --- writing

    def start(self, task: Task) -> None:
        """Make the directory say which task it is for; to be called by the claim's holder.

        What a killed one was just writing goes.
        """
        for file in self.path.glob(".*"):
            if not file.name.startswith((".claim", ".takeover")):
                file.unlink(missing_ok=True)
        write_json(self.task_file, task.to_json())
        self.failure_file.unlink(missing_ok=True)

    def rewind(self, epoch: int) -> None:
        """Forget the metrics of later epochs: they are going to be trained again."""
        rows = self.metrics()
        kept = [row for row in rows if row["epoch"] <= epoch]
        if not kept:
            self.metrics_file.unlink(missing_ok=True)
        elif kept != rows or not self.metrics_file.read_bytes().endswith(b"\n"):
            write_atomic(self.metrics_file, json_lines(kept))

    # --- reading

    def result(self) -> dict[str, Any] | None:
        """result.json, or None when the run has not succeeded: a damaged one is no success."""
        result = read_json(self.result_file)
        if not isinstance(result, dict):
            return None
        if result.get("schema") != SCHEMA:
            found = result.get("schema")
            raise UserError(f"{self.result_file}: schema {found}; this version reads {SCHEMA}")
        return result

    def metrics(self) -> list[dict[str, Any]]:
        return read_json_lines(self.metrics_file)

    def state(self) -> State:
        if self.result() is not None:
            return State("done")
        metrics = self.metrics()
        epoch = int(metrics[-1]["epoch"]) if metrics else 0
        if is_alive(self.claim_file):
            return State("running", f"epoch {epoch}", epoch)
        failure = read_json(self.failure_file)
        if failure is not None:
            return State("failed", str(failure["message"]), epoch)
        if self.result_file.exists():
            return State("stopped", f"{self.result_file.name} is damaged", epoch)
        if self.task_file.exists():
            return State("stopped", f"interrupted in epoch {epoch + 1}", epoch)
        return State("waiting")


class Runs:
    """A study's folder, looked at once: for whoever asks about very many runs.

    What has begun since is not seen; make a new one.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.loose = _run_folders(folder)

    def __iter__(self) -> Iterator[str]:
        """The ids of all runs that are there in any state."""
        return iter(sorted(self.loose))

    def run(self, run_id: str) -> RunDir:
        return RunDir(self.folder / run_id)

    def __bool__(self) -> bool:
        return bool(self.loose)

    def task(self, run_id: str) -> dict[str, Any] | None:
        """task.json as it is: it may be of another version."""
        task = read_json(self.run(run_id).task_file)
        return task if isinstance(task, dict) and isinstance(task.get("names"), dict) else None

    def result(self, run_id: str) -> dict[str, Any] | None:
        """Without the task, and without what is as long as a confusion matrix."""
        if run_id not in self.loose:
            return None
        result = self.run(run_id).result()
        return None if result is None else {k: v for k, v in result.items() if k not in BULKY}

    def metrics(self, run_id: str) -> list[dict[str, Any]]:
        return self.run(run_id).metrics() if run_id in self.loose else []

    def state(self, run_id: str) -> State:
        return self.run(run_id).state() if run_id in self.loose else State("waiting")


def _run_folders(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if RUN_ID.fullmatch(entry.name)}
    except (FileNotFoundError, NotADirectoryError):
        return set()

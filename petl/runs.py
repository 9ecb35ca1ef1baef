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

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from petl.claim import is_alive
from petl.config import Task
from petl.errors import UserError
from petl.files import json_lines, read_json, read_json_lines, write_atomic, write_json

SCHEMA = 1

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
        self.task_file = path / "task.json"
        self.claim_file = path / "claim.json"
        self.metrics_file = path / "metrics.jsonl"
        self.result_file = path / "result.json"
        self.failure_file = path / "failure.json"
        self.log_file = path / "log.txt"
        self.weights_file = path / "weights.safetensors"
        self.resume_file = path / "resume.pt"
        self.older_resume_file = path / "resume.before.pt"

    @classmethod
    def of(cls, task: Task, runs: Path) -> RunDir:
        return cls(runs / task.names.study / task.run_id)

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

"""The run directory: what each file is called, who writes it, and what state it means.

    runs/<study>/<run id>/
      task.json       the resolved task, written first
      claim.json      the process that works on it now
      metrics.jsonl   one line per epoch
      resume.safetensors    the last checkpoint; resume.before.safetensors is the one before
      result.json     written last: a run is done if and only if it exists and is whole
      failure.json    why the last try failed, and its class; removed when the next try starts
      weights.safetensors   what was trained, if the study keeps it
      samples.png     a generator's samples every few epochs, below real clips
      predictions.json      a regression's answers for the test clips (petl/runs/predictions.py)
      *.damaged       a damaged file that training has replaced
      log.txt         for people: each epoch, and the traceback of a failure

task.json and result.json decide. claim.json and metrics.jsonl are hints about a run in progress. A
finished run may have moved into runs/<study>/packed/ (petl/runs/archive/): the readers here find
it in both places.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from petl.config import Task
from petl.errors import UserError, reason
from petl.files import write_json
from petl.runs.archive.format import RUN_ID, Damaged, archive
from petl.runs.claim import Silence, is_alive, revoke, silence
from petl.runs.reading import content_of, epochs_of, is_named, json_mapping
from petl.runs.result import (
    Result,
    Summary,
    parse_result,
    parse_summary,
    problem,
    summary,
)

FAILURE = ("class", "kind", "message", "traceback")
"""The keys of failure.json."""
Kind = Literal["done", "running", "silent", "failed", "stopped", "waiting"]


@dataclass(frozen=True)
class State:
    """`reason` is for people: `epoch 3`, or the message of the failure."""

    kind: Kind
    reason: str = ""
    epoch: int = 0
    damaged: bool = False


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
    def predictions_file(self) -> Path:
        return self.path / "predictions.json"

    @property
    def resume_file(self) -> Path:
        return self.path / "resume.safetensors"

    @property
    def older_resume_file(self) -> Path:
        return self.path / "resume.before.safetensors"

    # --- writing

    def start(self, task: Task) -> None:
        """Write task.json and remove what an earlier, killed try left. Hold the claim first."""
        for file in self.path.glob(".*"):
            if file.is_file() and not file.name.startswith((".claim", ".takeover")):
                file.unlink(missing_ok=True)
        self.set_aside(self.result_file)  # a damaged one: otherwise there is nothing to train
        write_json(self.task_file, task.to_json())
        if self.failure_file.is_dir():
            self.set_aside(self.failure_file)
        self.failure_file.unlink(missing_ok=True)

    def set_aside(self, file: Path) -> None:
        """Rename a damaged file: it may hold what a person can still use."""
        names = (file.with_name(f"{file.name}.damaged{i or ''}") for i in count())
        if os.path.lexists(file):
            file.rename(next(name for name in names if not os.path.lexists(name)))

    # --- reading

    def read(self, name: str) -> bytes | None:
        """A file of the run, from its folder or from the archive."""
        return next(self._copies(name), None)

    def _copies(self, name: str) -> Iterator[bytes]:
        """The file in the run's folder, then the packed one, then the folder's again.

        The first order finds a run that is packed meanwhile, the second one that is unpacked.
        """
        for packed in (False, True, False):
            content = None
            if not packed:
                content, _ = content_of(self.path / name)
            else:
                with suppress(Damaged):
                    content = archive(self.path.parent).file(self.path.name, name)
            if content is not None:
                yield content

    @contextmanager
    def at_hand(self, name: str) -> Iterator[Path]:
        """The path of a file of the run; a packed file is copied to a temporary folder.

        If the run has no such file, the path does not exist.
        """
        path = self.path / name
        found = None
        if not os.path.lexists(path):
            found = archive(self.path.parent).file(self.path.name, name)
        if found is None:
            yield path
            return
        with TemporaryDirectory(prefix="petl-") as folder:
            copy = Path(folder) / name
            copy.write_bytes(found)
            yield copy

    def task(self) -> dict[str, Any] | None:
        """task.json, not validated: another version may have written it."""
        return json_mapping(self.read(self.task_file.name))

    def result(self) -> Result | None:
        """result.json, or None when the run has not succeeded: a damaged one is no success."""
        results = map(parse_result, self._copies(self.result_file.name))
        return next((result for result in results if result is not None), None)

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, without damaged lines or a last one that a kill cut short."""
        return epochs_of(self.read(self.metrics_file.name))[0]

    def failure(self) -> dict[str, str] | None:
        """failure.json: class, kind, message and traceback, empty where it has none of them."""
        if (failure := json_mapping(content_of(self.failure_file)[0])) is None:
            return None
        return {key: str(failure.get(key, "")) for key in FAILURE}

    def silence(self) -> Silence | None:
        """Is the process that holds the run silent for longer than its epochs explain?"""
        return silence(self.claim_file, self._longest_epoch_s())

    def revoke(self) -> bool:
        """Take the run from a process that is silent."""
        return revoke(self.claim_file, self._longest_epoch_s())

    def _longest_epoch_s(self) -> float:
        return max((float(row.get("seconds", 0)) for row in self.metrics()), default=0.0)

    def state(self) -> State:
        if self.result() is not None:
            return State("done")
        metrics = self.metrics()
        epoch = metrics[-1]["epoch"] if metrics else 0
        if is_alive(self.claim_file):
            if (silent := self.silence()) is not None:
                return State("silent", f"{silent}, in epoch {epoch + 1}", epoch)
            return State("running", f"epoch {epoch}", epoch)
        if (failure := self.failure()) is not None:
            return State("failed", failure["message"], epoch)
        for file, check in ((self.result_file, problem), (self.task_file, lambda content: "")):
            content, wrong = content_of(file)
            if wrong := check(content) if content is not None else wrong:
                return State("stopped", f"{file.name}: {wrong}", epoch, damaged=True)
        if os.path.lexists(self.task_file):
            return State("stopped", f"interrupted in epoch {epoch + 1}", epoch)
        if wrong := archive(self.path.parent).problem(self.path.name):
            return State("stopped", wrong, damaged=True)
        return State("waiting")


class Runs:
    """All runs in a study's folder, listed once: for readers of very many runs.

    Runs that start later are not in it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        # folders, archive, folders: a run that is packed or unpacked meanwhile is in one of them
        self.loose = _run_folders(folder)
        self.packed = archive(folder)
        self.loose |= _run_folders(folder)

    def __iter__(self) -> Iterator[str]:
        """The ids of all runs, in any state."""
        return iter(sorted(self.loose.union(self.packed)))

    def __bool__(self) -> bool:
        return bool(self.loose or self.packed)

    def __contains__(self, run_id: object) -> bool:
        return run_id in self.loose or run_id in self.packed

    def run(self, run_id: str) -> RunDir:
        return RunDir(self.folder / run_id)

    def task(self, run_id: str) -> dict[str, Any] | None:
        task = self.packed.task(run_id)
        if task is None:
            task = self.run(run_id).task()
        return task if task and is_named(task) else None

    def result(self, run_id: str) -> Summary | None:
        """Without the task, the classes and the confusion matrices."""
        packed = self.packed.result(run_id)
        if packed is not None or run_id not in self.loose:
            return packed
        result = parse_summary(content_of(self.folder / run_id / "result.json")[0])
        if result is None:  # it may have been packed since
            whole = self.run(run_id).result()
            return whole and summary(whole)
        return result

    def metrics(self, run_id: str) -> list[dict[str, Any]]:
        """All rows of metrics.jsonl; a ValueError if one of them is damaged."""
        if run_id in self.packed:
            content = self.packed.file(run_id, "metrics.jsonl")
        else:
            content = self.run(run_id).read("metrics.jsonl") if run_id in self.loose else None
        rows, problems = epochs_of(content)
        if problems:
            raise ValueError(problems[0])
        return rows

    def state(self, run_id: str) -> State:
        if self.packed.result(run_id) is not None:
            return State("done")
        known = run_id in self or self.packed.unreadable
        return self.run(run_id).state() if known else State("waiting")


def _run_folders(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if RUN_ID.fullmatch(entry.name)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise UserError(f"{folder}: {reason(error)}") from None

"""What is done of a study, what is left, and how long that takes. This only reads.

Times are means of finished runs, never guesses: without a finished run they are unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from petl.config import Task
from petl.config.study import Study
from petl.config.study_file import Report
from petl.files import full_or_read_only
from petl.runs.directory import RunDir, Runs
from slurm.exits import FAULTS
from slurm.scheduler import Answer, accounted, queued
from slurm.status.state import (
    Kind,
    RunState,
    cause_of_failure,
    explains_itself,
    state_after_queue,
    state_in_queue,
)
from slurm.submission import Attempt, attempts, read_submissions, submissions_folder

TO_RUN: tuple[Kind, ...] = ("waiting", "stopped", "lost", "failed")


class Group(NamedTuple):
    """The runs that differ in fold and seed only: they become one cell of the table."""

    dataset: str
    backbone: str
    method: str

    @classmethod
    def of(cls, task: Task) -> Group:
        return cls(task.names.dataset, task.names.backbone, task.names.method)


@dataclass(eq=False)
class Item:
    """A run of the study, and its state when it was last looked at."""

    task: Task
    run: RunDir
    report: Report
    state: RunState
    log: Path
    seconds: float | None = None
    source: str | None = None
    """The code that a finished run was made with, as petl.runs.code.archive names it."""
    score: float | None = None
    """The headline metric of its kind of task."""
    attempts: list[Attempt] = field(default_factory=list)
    """Its submissions to a cluster, the last one last."""

    @classmethod
    def of(cls, task: Task, run_id: str, runs: Runs, report: Report) -> Item:
        run = runs.run(run_id)
        item = cls(task, run, report, RunState("waiting"), run.log_file)
        if run_id in runs or runs.packed.unreadable:  # it may be in there
            item.look(runs)
        return item

    @property
    def kind(self) -> Kind:
        return self.state.kind

    @property
    def ended(self) -> bool:
        return self.kind in ("done", "failed", "stopped", "lost")

    def look(self, runs: Runs | None = None) -> None:
        """Read the state again, faster with a study's `runs`; a finished run stays finished."""
        if self.kind == "done":
            return
        result = runs.result(self.run.path.name) if runs else self.run.result()
        if result is None:
            seen = self.run.state()
            cause = cause_of_failure(self.run) if seen.kind == "failed" else ""
            kind: Kind = "stopped" if cause in FAULTS.values() else seen.kind
            self.state = RunState(kind, seen.reason, seen.epoch, cause)
            return
        self.state = RunState("done")
        self.source = result["environment"].get("code", {}).get("source")
        self.seconds = float(result["timing"]["seconds"])
        self.score = result["metrics"][self.report].get(self.task.kind.headline)


class Plan:
    """The study's runs in order, each once: tasks with the same settings share one run."""

    def __init__(self, study: Study, runs: Path):
        self.study = study
        first: dict[str, Task] = {}
        for task in study.tasks:
            first.setdefault(task.run_id, task)
        self.shared = len(study.tasks) - len(first)
        view = Runs(runs / study.name)
        self.items = [Item.of(task, run_id, view, study.report) for run_id, task in first.items()]
        self.slurm_folder = submissions_folder(runs, study.name)
        self.submissions, self.damage = read_submissions(self.slurm_folder)
        self.damage += filter(None, [full_or_read_only(runs)])
        self.trouble = self._ask_scheduler()
        """Why the scheduler does not answer, if so."""

    def _ask_scheduler(self) -> str:
        """Judge the unfinished runs by what squeue says, and sacct for those that squeue forgot."""
        by_run = attempts(self.submissions)
        for item in self.items:
            item.attempts = by_run.get(item.run.path.name, [])
        asked = [item for item in self.items if item.attempts and item.kind != "done"]
        queue = self.queue = queued(_arrays(asked))
        silent = []
        for item in asked:
            # after squeue was asked: a run that has left the queue by then has written its last
            item.look()
            last = item.attempts[-1]
            job = queue.jobs.get(last.array_task)
            if item.kind == "done":
                continue
            if job is not None:
                item.log = last.submission.log(job.id)
                epochs = item.task.train.epochs
                item.state = state_in_queue(item.run, item.state, last, job, epochs)
            elif not explains_itself(item.run, item.state, last):
                silent.append(item)
        accounts = Answer()
        if silent and not queue.trouble:
            since = min(item.attempts[-1].submission.record.when for item in silent)
            accounts = accounted(_arrays(silent), since)
        for item in silent:
            last = item.attempts[-1]
            item.state = state_after_queue(item.run, item.state, last, queue, accounts)
        return queue.trouble or accounts.trouble

    def in_queue(self) -> Counter[str]:
        """The arrays that are not over, by number, and how many jobs each has left."""
        return Counter(job.array for job in self.queue.jobs.values())

    def to_run(self) -> list[Item]:
        """What is neither done nor running."""
        return [item for item in self.items if item.kind in TO_RUN]

    def counts(self) -> Counter[Kind]:
        return count(self.items)

    def groups(self) -> dict[Group, list[Item]]:
        groups: dict[Group, list[Item]] = {}
        for item in self.items:
            groups.setdefault(Group.of(item.task), []).append(item)
        return groups

    def left(self) -> Left:
        return Means(self.items).left(self.items)


class Left(NamedTuple):
    """Seconds for each run that can be estimated, and how many cannot."""

    seconds: list[float]
    unknown: int

    def wall(self, workers: int) -> float | None:
        """Seconds until all is done with `workers` at a time; None if that is unknown."""
        if self.unknown:
            return None
        return max(sum(self.seconds) / workers, max(self.seconds, default=0.0))


class Means:
    """A run takes as long as the finished ones of its group, else of its dataset and backbone."""

    def __init__(self, items: Iterable[Item]):
        finished: dict[tuple[str, ...], list[float]] = {}
        for item in items:
            if item.seconds is not None:
                group = Group.of(item.task)
                finished.setdefault(group, []).append(item.seconds)
                finished.setdefault(group[:2], []).append(item.seconds)
        self.means = {key: fmean(seconds) for key, seconds in finished.items()}

    def left(self, items: Iterable[Item]) -> Left:
        times = [self._left(item) for item in items if item.kind != "done"]
        return Left([time for time in times if time is not None], times.count(None))

    def _left(self, item: Item) -> float | None:
        group = Group.of(item.task)
        whole = self.means.get(group, self.means.get(group[:2]))
        if whole is None or item.kind != "running":
            return whole
        return whole * max(0.0, 1 - item.state.epoch / item.task.train.epochs)


def _arrays(items: Iterable[Item]) -> list[str]:
    return sorted({item.attempts[-1].array_task.array for item in items})


def count(items: Iterable[Item]) -> Counter[Kind]:
    return Counter(item.kind for item in items)

"""A study held against its run directories and the scheduler: what is done, what is left, how long
it will take.

Reads, and starts nothing. Times are means of finished runs, never guesses: where there is no
finished run to learn from, the answer is "unknown".
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
from petl.runs.directory import RunDir, Runs
from slurm.scheduler import Answer, accounted, queued
from slurm.status import verdict
from slurm.status.verdict import Kind, Verdict
from slurm.submission import Place, Try, submissions, tries

TO_RUN: tuple[Kind, ...] = ("waiting", "stopped", "lost", "failed")


class Group(NamedTuple):
    """The runs that differ in fold and seed only: one cell of the table to come."""

    dataset: str
    backbone: str
    method: str

    @classmethod
    def of(cls, task: Task) -> Group:
        return cls(task.names.dataset, task.names.backbone, task.names.method)


@dataclass(eq=False)
class Item:
    """One run of the study, and what was last seen of it."""

    task: Task
    run: RunDir
    report: Report
    state: Verdict
    log: Path
    seconds: float | None = None
    accuracy: float | None = None
    tries: list[Try] = field(default_factory=list)
    """Those on a cluster, the last one last."""

    @classmethod
    def of(cls, task: Task, run_id: str, runs: Runs, report: Report) -> Item:
        run = runs.run(run_id)
        item = cls(task, run, report, Verdict("waiting"), run.log_file)
        if run_id in runs:
            item.look(runs)
        return item

    @property
    def kind(self) -> Kind:
        return self.state.kind

    @property
    def place(self) -> Place:
        """Where the last try is, or was, in the scheduler's hands."""
        submission, at = self.tries[-1]
        return submission.place(at)

    @property
    def says_why(self) -> bool:
        """It lives, or its own last words are about this try."""
        failed = self.kind == "failed" and self.tries[-1].submission.has_failed(self.run)
        return failed or self.kind == "running"

    @property
    def needs_its_try(self) -> bool:
        """Its last submission is what tells why it has no result."""
        return bool(self.tries) and self.kind != "done"

    @property
    def ended(self) -> bool:
        return self.kind in ("done", "failed", "stopped", "lost")

    def look(self, runs: Runs | None = None) -> None:
        """Read the state again, quicker in a view of very many; a finished run stays finished."""
        if self.kind == "done":
            return
        result = runs.result(self.run.path.name) if runs else self.run.result()
        if result is None:
            seen = self.run.state()
            cause = verdict.cause_of_failure(self.run) if seen.kind == "failed" else ""
            self.state = Verdict(seen.kind, seen.reason, seen.epoch, cause)
            return
        self.state = Verdict("done")
        self.seconds = float(result["timing"]["seconds"])
        self.accuracy = result["metrics"][self.report].get("accuracy")  # a regression has none


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
        self.jobs = runs / study.name / "slurm"
        self.trouble = self.consult()
        """Why the scheduler could not be asked, if so."""

    def consult(self) -> str:
        """Bring in what the scheduler knows of runs that have no result: one call, or two."""
        known = tries(submissions(self.jobs))
        for item in self.items:
            item.tries = known.get(item.run.path.name, [])
        asked = [item for item in self.items if item.tries and item.kind != "done"]
        queue = self.queue = queued(_arrays(asked))
        missing = []
        for item in asked:
            job = queue.jobs.get(item.place)
            item.look()  # after the queue: what has left that has left its last word here
            if job is None and item.kind != "done":
                missing.append(item)
            elif job is not None and item.kind != "done":
                item.log = item.tries[-1].submission.log(job.id)
                epochs = item.task.train.epochs
                item.state = verdict.in_queue(item.run, item.state, item.tries[-1], job, epochs)
        accounts = Answer()
        silent = [item for item in missing if not item.says_why]
        if silent and not queue.trouble:
            since = min(item.tries[-1].submission.said.when for item in silent)
            accounts = accounted(_arrays(silent), since)
        for item in missing:
            item.state = verdict.gone(item.run, item.state, item.tries[-1], queue, accounts)
        return queue.trouble or accounts.trouble

    def in_queue(self) -> Counter[str]:
        """The arrays that are not over, by job number, each with how many jobs it has left."""
        return Counter(job.id.partition("_")[0] for job in self.queue.jobs.values())

    def to_run(self) -> list[Item]:
        """What is neither done nor being run."""
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
        """Until everything is done with so many at a time, or None while that is unknown."""
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
    return sorted({item.place.array for item in items})


def count(items: Iterable[Item]) -> Counter[Kind]:
    return Counter(item.kind for item in items)

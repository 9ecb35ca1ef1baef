"""A study held against its run directories: what is done, what is left, how long it will take.

Reads, and starts nothing. Times are means of finished runs, never guesses: where there is no
finished run to learn from, the answer is "unknown".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from petl.config import Task
from petl.runs import Kind, RunDir, State
from petl.study import Study

TO_RUN: tuple[Kind, ...] = ("waiting", "stopped", "failed")


class Group(NamedTuple):
    """The runs that differ in fold and seed only: one cell of the table to come."""

    dataset: str
    backbone: str
    method: str

    @classmethod
    def of(cls, task: Task) -> Group:
        return cls(task.names.dataset, task.names.backbone, task.names.method)


@dataclass
class Item:
    """One run of the study, and what was last seen of it."""

    task: Task
    run: RunDir
    report: str
    state: State
    log: Path
    seconds: float | None = None
    accuracy: float | None = None

    @classmethod
    def of(cls, task: Task, runs: Path, report: str) -> Item:
        run = RunDir.of(task, runs)
        item = cls(task, run, report, State("waiting"), run.log_file)
        item.look()
        return item

    @property
    def kind(self) -> Kind:
        return self.state.kind

    @property
    def ended(self) -> bool:
        return self.kind in ("done", "failed", "stopped")

    def look(self) -> None:
        """Read the state again; a finished run does not change any more."""
        if self.accuracy is not None:
            return
        result = self.run.result()
        if result is None:
            self.state = self.run.state()
            return
        self.state = State("done")
        self.seconds = float(result["timing"]["seconds"])
        self.accuracy = float(result["metrics"][self.report]["accuracy"])


class Plan:
    """The study's runs in order, each once: tasks with the same settings share one run."""

    def __init__(self, study: Study, runs: Path):
        self.study = study
        first = {task.run_id: task for task in reversed(study.tasks)}
        tasks = [task for task in study.tasks if first[task.run_id] is task]
        self.shared = len(study.tasks) - len(tasks)
        self.items = [Item.of(task, runs, study.report) for task in tasks]

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


def count(items: Iterable[Item]) -> Counter[Kind]:
    return Counter(item.kind for item in items)

"""A study on a cluster from its first submission to the end, with troubles on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from petl.runs.directory import RunDir
from rehearsal.short_study import Queue, ShortStudy, label, read_queue
from rehearsal.troubles import TROUBLES, Repair, Trouble, Victim, hang
from slurm.devcluster import ClusterError, DevCluster
from slurm.status.view import summary

POLL_S = 0.5
PAUSE_S = (0.5, 3.0)
"""Between two troubles, unless so many runs are done that the last troubles would find none."""
LAST_AT = 0.6
"""The last trouble comes before this share of the runs is done."""
SUBMIT_EVERY_S = 5.0
"""How often the person looks, and submits again when there is a reason."""
REPORT_EVERY_S = 15.0
LIMIT_S = 900.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Event:
    what: str
    runs: tuple[str, ...] = ()
    """The runs it hit, by id."""


@dataclass
class Record:
    """What was done and seen."""

    events: list[Event] = field(default_factory=list)
    submitted: int = 0
    most_running: int = 0
    gpus: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    """Troubles that hit nothing, because all runs were done before."""
    seconds: float = 0.0


def draw_troubles(rng: Random) -> list[Trouble]:
    """Each once, in random order; then those that hit one job once more, if there is time."""
    again = [trouble for trouble in TROUBLES if trouble.hits == "job"]
    return [*rng.sample(TROUBLES, len(TROUBLES)), *rng.sample(again, len(again))]


class Performance:
    def __init__(
        self,
        study: ShortStudy,
        cluster: DevCluster,
        rng: Random,
        coming: list[Trouble],
        say: Say = print,
    ):
        self.study, self.cluster, self.rng, self.coming, self.say = study, cluster, rng, coming, say
        self.record = Record()
        self.planned = len(coming)
        self.repairs: list[Repair] = []
        self.hanging = set[str]()
        """Jobs that hang until their time limit; nothing else is done to them."""
        self.began = time.monotonic()
        self.next_trouble = self.next_submit = self.last_said = 0.0

    def run(self) -> Record:
        try:
            while self.now < LIMIT_S and not self._step():
                time.sleep(POLL_S)
        finally:
            for repair in self.repairs:
                repair.do()
        happened = {event.what for event in self.record.events}
        self.record.unused = {trouble.what for trouble in self.coming} - happened
        self.record.seconds = self.now
        return self.record

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    def _step(self) -> bool:
        """True when there is nothing left to wait for."""
        for repair in [repair for repair in self.repairs if repair.at < time.monotonic()]:
            self.repairs.remove(repair)
            repair.do()
            self._note(Event(repair.what), repair.what)
        queue = read_queue(self.cluster)
        self.record.most_running = max(self.record.most_running, len(queue.running))
        self.record.gpus |= queue.gpus
        if self.now >= self.next_submit:
            return self._look_and_submit()
        if self.coming and (self.now >= self.next_trouble or self._is_late()):
            self._disturb(queue)
        return False

    def _is_late(self) -> bool:
        """On a fast machine the runs end sooner, so troubles follow each other without a pause.

        With p troubles planned and c still to come, (p - c) / p of them have happened, which should
        be so by the time LAST_AT * (p - c) / p of the runs are done.
        """
        runs = [RunDir.of(task, self.study.places.runs) for task in self.study.study.tasks]
        done = sum(run.result_file.exists() for run in runs) / len(runs)
        return done > LAST_AT * (1 - len(self.coming) / self.planned)

    def _look_and_submit(self) -> bool:
        """Submit what stopped for good; True when no run, job or repair is left to wait for."""
        self.next_submit = self.now + SUBMIT_EVERY_S
        plan = self.study.plan()
        kinds = {item.kind for item in plan.items}
        if self.now - self.last_said > REPORT_EVERY_S:
            self._tell(summary(plan))
        if kinds & {"waiting", "stopped", "lost", "failed"}:
            answer = f"petl submit: {self.study.submit()}"
            self.record.submitted += 1
            self._note(Event(answer), answer)
            kinds = {item.kind for item in self.study.plan().items}
        active = kinds & {"running", "pending", "unknown"}
        return not (active or self.repairs or read_queue(self.cluster).length)

    def _disturb(self, queue: Queue) -> None:
        running = self._running(queue)
        free = [victim for victim in running if victim.job.id not in self.hanging]
        if not free:
            return
        trouble, victim = self.coming[0], self.rng.choice(free)
        hit = trouble.hit(victim, running)
        told = f"{trouble.what}{_whom(trouble, hit)}"
        try:
            repair = trouble.cause(self.cluster, victim)
        except (ProcessLookupError, ClusterError):
            if trouble.hits == "job":
                return  # this job has just ended; try another at the next step
            raise
        self._note(Event(trouble.what, tuple(victim.run_id for victim in hit)), told)
        self.coming.pop(0)
        self.repairs += [repair] if repair else []
        self.next_trouble = self.now + self.rng.uniform(*PAUSE_S)
        if trouble.cause is hang:
            self.hanging.add(victim.job.id)

    def _running(self, queue: Queue) -> list[Victim]:
        jobs = self.study.jobs()
        victims = []
        for task in self.study.study.tasks:
            if job := queue.running.get(jobs.get(task.run_id, "")):
                run = RunDir.of(task, self.study.places.runs)
                victims.append(Victim(task.run_id, label(task), run, job))
        return victims

    def _note(self, event: Event, told: str) -> None:
        self.record.events.append(event)
        self._tell(told)

    def _tell(self, what: str) -> None:
        self.last_said = self.now
        self.say(f"  {self.now:5.1f} s  {what}")


def _whom(trouble: Trouble, hit: Sequence[Victim]) -> str:
    on = f" ({hit[0].job.node})" if trouble.hits == "node" else ""
    return f"{on}: {', '.join(map(str, hit))}" if hit else ""

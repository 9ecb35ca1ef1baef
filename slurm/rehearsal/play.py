"""A study on a cluster from its submission to the end, with whatever is to happen meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from petl.runs.directory import RunDir
from slurm.devcluster import ClusterError, DevCluster
from slurm.rehearsal.stage import Look, Stage, label, look
from slurm.rehearsal.troubles import TROUBLES, Repair, Trouble, Victim, too_slow
from slurm.status.view import summary

POLL_S = 0.5
PAUSE_S = (0.5, 3.0)
"""Between two troubles, unless so many runs are done that there might be nobody for the last."""
LAST_AT = 0.6
"""So large a part of the runs may be done when the last trouble comes."""
PATIENCE_S = 5.0
"""A person looks again so often, and submits again when there is a reason."""
SILENCE_S = 15.0
"""After so long the person says how far it is."""
LIMIT_S = 900.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Event:
    what: str
    runs: tuple[str, ...] = ()
    """Whom it hit."""


@dataclass
class Play:
    """What was done and seen."""

    events: list[Event] = field(default_factory=list)
    submitted: int = 0
    most_running: int = 0
    gpus: set[str] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)
    """Troubles that were to come and had come to nobody when all was done."""
    seconds: float = 0.0


def troubles(rng: Random) -> list[Trouble]:
    """Each once in any order; then those of a single job once more, if there is time for them."""
    again = [trouble for trouble in TROUBLES if trouble.hits == "job"]
    return [*rng.sample(TROUBLES, len(TROUBLES)), *rng.sample(again, len(again))]


def play(stage: Stage, cluster: DevCluster, rng: Random, coming: list[Trouble], say: Say) -> Play:
    return _Director(stage, cluster, rng, coming, say).play()


class _Director:
    def __init__(
        self, stage: Stage, cluster: DevCluster, rng: Random, coming: list[Trouble], say: Say
    ):
        self.stage, self.cluster, self.rng, self.coming, self.say = stage, cluster, rng, coming, say
        self.seen = Play()
        self.many = len(coming)
        self.repairs: list[Repair] = []
        self.hanging = set[str]()
        """Jobs that wait for the end of their time, and are let alone."""
        self.began = time.monotonic()
        self.next_trouble = self.next_submit = self.spoke = 0.0

    def play(self) -> Play:
        try:
            while self.now < LIMIT_S and not self._tick():
                time.sleep(POLL_S)
        finally:
            for repair in self.repairs:
                repair.do()
        happened = {event.what for event in self.seen.events}
        self.seen.spared = {trouble.what for trouble in self.coming} - happened
        self.seen.seconds = self.now
        return self.seen

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    def _tick(self) -> bool:
        """Whether it is over."""
        for repair in [repair for repair in self.repairs if repair.at < time.monotonic()]:
            self.repairs.remove(repair)
            repair.do()
            self._note(repair.what)
        seen = look(self.cluster)
        self.seen.most_running = max(self.seen.most_running, len(seen.running))
        self.seen.gpus |= seen.gpus
        if self.now >= self.next_submit:
            return self._person()
        if self.coming and (self.now >= self.next_trouble or self._late()):
            self._disturb(seen)
        return False

    def _late(self) -> bool:
        """On a fast machine troubles have to follow each other faster."""
        runs = [RunDir.of(task, self.stage.places.runs) for task in self.stage.study.tasks]
        done = sum(run.result_file.exists() for run in runs) / len(runs)
        return done > LAST_AT * (1 - len(self.coming) / self.many)

    def _person(self) -> bool:
        """Submits what nobody looks after any more; goes home when there is nothing to wait for."""
        self.next_submit = self.now + PATIENCE_S
        plan = self.stage.plan()
        kinds = {item.kind for item in plan.items}
        if self.now - self.spoke > SILENCE_S:
            self._tell(summary(plan))
        if kinds & {"waiting", "stopped", "lost", "failed"}:
            told = self.stage.submit()
            self.seen.submitted += 1
            self._note(f"petl submit: {told}")
            kinds = {item.kind for item in self.stage.plan().items}
        elsewhere = kinds & {"running", "pending", "unknown"}
        return not (elsewhere or self.repairs or look(self.cluster).queued)

    def _disturb(self, seen: Look) -> None:
        running = self._running(seen)
        free = [victim for victim in running if victim.job.id not in self.hanging]
        if not free:
            return
        trouble, victim = self.coming[0], self.rng.choice(free)
        hit = trouble.hit(victim, running)
        what = f"{trouble.what}{_whom(trouble, hit)}"
        try:
            repair = trouble.happens(self.cluster, victim)
        except (ProcessLookupError, ClusterError):
            if trouble.hits == "job":
                return  # it has just ended: somebody else
            raise
        self._note(what, hit, trouble)
        self.coming.pop(0)
        self.repairs += [repair] if repair else []
        self.next_trouble = self.now + self.rng.uniform(*PAUSE_S)
        if trouble.happens is too_slow:
            self.hanging.add(victim.job.id)

    def _running(self, seen: Look) -> list[Victim]:
        jobs = self.stage.jobs()
        found = []
        for task in self.stage.study.tasks:
            if job := seen.running.get(jobs.get(task.run_id, "")):
                run = RunDir.of(task, self.stage.places.runs)
                found.append(Victim(task.run_id, label(task), run, job))
        return found

    def _note(self, what: str, hit: Sequence[Victim] = (), trouble: Trouble | None = None) -> None:
        runs = tuple(victim.run_id for victim in hit)
        self.seen.events.append(Event(trouble.what if trouble else what, runs))
        self._tell(what)

    def _tell(self, what: str) -> None:
        self.spoke = self.now
        self.say(f"  {self.now:5.1f} s  {what}")


def _whom(trouble: Trouble, hit: Sequence[Victim]) -> str:
    on = f" ({hit[0].job.node})" if trouble.hits == "node" else ""
    return f"{on}: {', '.join(map(str, hit))}" if hit else ""

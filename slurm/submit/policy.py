"""What becomes of a run that has not succeeded, by how it ended. Only here is that decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from slurm.status.plan import Item, Means, Plan
from slurm.status.verdict import Kind
from slurm.submit.profile import Profile
from slurm.submit.send import Batch
from slurm.words import several

AGAIN = {
    "": "interrupted",
    "interrupted": "interrupted",
    "preempted": "preempted",
    "node-failure": "node failure",
    "time-limit": "time limit",
    "cancelled": "cancelled",
    "killed": "killed",
    "lost": "lost",
}
"""No fault of the run's own: it goes on where its checkpoint is."""
MORE_MEMORY = {"host-memory": "out of memory"}
"""Once more, with more of it."""
NEVER = {
    "host-memory": "out of memory twice",
    "out-of-memory": "out of GPU memory",
    "diverged": "diverged",
    "bad-data": "mistake in the data or the study",
    "disk-full": "disk full",
    "error": "error in the code",
    "crashed": "crashed before it began",
    "no-progress": "without progress",
}
"""It would only end in the same way; `petl retry` after something has been changed."""


HINTS = {
    "host-memory": "--set mem_gb=... gives more memory than the profile",
    "out-of-memory": "a smaller train.micro_batch or layer_checkpointing: on takes less GPU memory",
    "diverged": "a lower train.lr helps",
    "disk-full": "make room",
    "no-progress": "--set time=... gives more time than the profile",
}
UNTOUCHED: tuple[Kind, ...] = ("running", "pending", "unknown")


@dataclass
class Choice:
    """What a submit would do with each run of a study."""

    new: list[Item] = field(default_factory=list)
    again: list[Item] = field(default_factory=list)
    more_memory: list[Item] = field(default_factory=list)
    never: list[Item] = field(default_factory=list)

    @property
    def to_submit(self) -> list[Item]:
        return [*self.new, *self.again, *self.more_memory]


def choose(items: Iterable[Item], profile: Profile) -> Choice:
    choice = Choice()
    for item in items:
        if item.kind == "waiting":
            choice.new.append(item)
        elif item.kind in ("stopped", "lost") or (item.kind == "failed" and _again(item)):
            choice.again.append(item)
        elif item.kind == "failed":
            more = item.state.cause in MORE_MEMORY and _had(item) < profile.more_mem_gb
            (choice.more_memory if more else choice.never).append(item)
    return choice


def _again(item: Item) -> bool:
    return item.state.cause in AGAIN


def _had(item: Item) -> float:
    return max((attempt.submission.said.mem_gb for attempt in item.tries), default=0.0)


def causes(items: Iterable[Item]) -> str:
    """`7 out of memory, 5 preempted`."""
    words = NEVER | AGAIN | MORE_MEMORY
    counts = Counter(words.get(item.state.cause, item.state.cause) for item in items)
    return ", ".join(f"{number} {word}" for word, number in counts.most_common())


def difference(choice: Choice, have: Mapping[Kind, int]) -> str:
    """`420 done, 12 to retry: 7 out of memory, 5 preempted; 68 new`."""
    retry = [*choice.more_memory, *choice.again]
    parts = [f"{have.get('done', 0)} done"]
    parts += [f"{have[kind]} {kind}" for kind in UNTOUCHED if have.get(kind)]
    first = ", ".join([*parts, *([f"{len(retry)} to retry: {causes(retry)}"] if retry else [])])
    rest = [f"{len(choice.new)} new"] if choice.new else []
    if choice.never:
        rest.append(f"{len(choice.never)} left alone: {causes(choice.never)}")
    return "; ".join([first, *rest])


def hints(never: Iterable[Item]) -> list[str]:
    """What to change before `petl retry`, for each way in which runs failed for good."""
    found = dict.fromkeys(item.state.cause for item in never)
    lines = [f"  {NEVER[cause]}: {HINTS[cause]}" for cause in found if cause in HINTS]
    return [*lines, "  `petl retry` submits them all the same"] if found else []


def batches(choice: Choice, profile: Profile) -> list[Batch]:
    """Runs that ask for the same go together."""
    return [
        batch
        for batch in (
            Batch([*choice.new, *choice.again], profile.mem_gb),
            Batch(choice.more_memory, profile.more_mem_gb),
        )
        if batch.items
    ]


def only(choice: Choice, agreed: Container[str]) -> Choice:
    """Less what has come up since somebody agreed to it."""

    def those(items: Iterable[Item]) -> list[Item]:
        return [item for item in items if item.task.run_id in agreed]

    return Choice(those(choice.new), those(choice.again), those(choice.more_memory), choice.never)


def gpu_hours(plan: Plan, items: Iterable[Item], profile: Profile) -> str:
    """From the times of finished runs, or that there are none yet."""
    left = Means(plan.items).left(items)
    what, each = ("GPU", profile.gpus) if profile.gpus else ("CPU", profile.cpus)
    share = each / profile.side_by_side
    if not left.seconds:
        return f"{what} hours: known after the first run"
    hours = sum(left.seconds) * share / 3600
    rest = f", and {several(left.unknown, 'run')} of unknown length" if left.unknown else ""
    return f"about {hours:.3g} {what} hours from measured times{rest}"

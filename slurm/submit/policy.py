"""What `petl submit` does with a run that has not succeeded, by how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from petl.errors import several
from petl.runs.claim import is_alive
from slurm.status.plan import Item, Means, Plan
from slurm.status.state import FAULT_WORDS, Kind
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Batch

AGAIN = {
    "": "interrupted",
    "interrupted": "interrupted",
    "preempted": "preempted",
    "node-failure": "node failure",
    "time-limit": "time limit",
    "cancelled": "cancelled",
    "killed": "killed",
    "lost": "lost",
    **FAULT_WORDS,
}
"""By cause: not the run's own fault, so it resumes from its checkpoint."""
MORE_MEMORY = {"host-memory": "out of memory"}
"""Once more, with more memory."""
NEVER = {
    "host-memory": ("out of memory twice", "give more memory with --set mem_gb=..."),
    "out-of-memory": (
        "out of GPU memory",
        "use a smaller train.micro_batch, or layer_checkpointing: on",
    ),
    "diverged": ("diverged", "try a lower train.lr"),
    "collapsed": (
        "collapsed",
        "change the generator's settings; the message of each run says which",
    ),
    "no-kernels": (
        "GPU that the image's torch has no code for",
        "use the other image (docs/container.md), or another gpu_type",
    ),
    "bad-data": ("mistake in the data or the study", ""),
    "error": ("error in the code", ""),
    "crashed": ("crashed before it began", ""),
    "no-progress": ("no progress", "allow more time with --set time=..."),
}
"""It would only fail again. What to change before `petl retry`."""
UNTOUCHED: tuple[Kind, ...] = ("running", "silent", "pending", "unknown")


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
        elif item.kind in ("stopped", "lost") or _is(item, AGAIN):
            choice.again.append(item)
        elif item.kind == "failed":
            more = _is(item, MORE_MEMORY) and _had(item) < profile.more_mem_gb
            (choice.more_memory if more else choice.never).append(item)
    return choice


def failed(items: Iterable[Item], runs: Container[str]) -> Choice:
    """For `petl retry`: those of these runs that have no result and are not in the queue."""
    kinds = ("failed", "stopped", "lost")
    again = [item for item in items if item.kind in kinds and item.task.run_id in runs]
    return Choice(again=again)


def freed(items: Iterable[Item], runs: Container[str]) -> Choice:
    """For `petl retry --silent`: those of these runs that nobody holds any more."""
    mine = [item for item in items if item.task.run_id in runs and item.kind != "done"]
    return Choice(again=[item for item in mine if not is_alive(item.run.claim_file)])


def _is(item: Item, causes: Container[str]) -> bool:
    return item.kind == "failed" and item.state.cause in causes


def _had(item: Item) -> float:
    """The most memory that it was given."""
    return max((attempt.submission.record.mem_gb for attempt in item.attempts), default=0.0)


def causes(items: Iterable[Item]) -> str:
    """`7 out of memory, 5 preempted`."""
    words = {cause: what for cause, (what, _) in NEVER.items()} | AGAIN | MORE_MEMORY
    counts = Counter(words.get(item.state.cause, item.state.cause) for item in items)
    return ", ".join(f"{number} {word}" for word, number in counts.most_common())


def difference(choice: Choice, have: Mapping[Kind, int]) -> str:
    """`420 done, 12 to retry: 7 out of memory, 5 preempted; 68 new`."""
    retry = [*choice.more_memory, *choice.again]
    parts = [f"{have.get('done', 0)} done"]
    parts += [f"{have[kind]} {kind}" for kind in UNTOUCHED if have.get(kind)]
    parts += [f"{len(retry)} to retry: {causes(retry)}"] if retry else []
    new = f"{len(choice.new)} new" if choice.new else ""
    never = f"{len(choice.never)} left alone: {causes(choice.never)}" if choice.never else ""
    return "; ".join(part for part in (", ".join(parts), new, never) if part)


def hints(never: Iterable[Item]) -> list[str]:
    causes = dict.fromkeys(item.state.cause for item in never)
    known = [NEVER[cause] for cause in causes if cause in NEVER]
    lines = [f"  {what}: {hint}" for what, hint in known if hint]
    return [*lines, "  `petl retry` submits them again"] if causes else []


def batches(choice: Choice, profile: Profile) -> list[Batch]:
    """Runs that need the same amount of memory together."""
    normal = Batch([*choice.new, *choice.again], profile.mem_gb)
    more = Batch(choice.more_memory, profile.more_mem_gb)
    return [batch for batch in (normal, more) if batch.items]


def gpu_hours(plan: Plan, items: Iterable[Item], profile: Profile) -> str:
    """Estimated from the times of finished runs, where there are any."""
    left = Means(plan.items).left(items)
    what, each = ("GPU", profile.gpus) if profile.gpus else ("CPU", profile.cpus)
    share = each / profile.side_by_side
    if not left.seconds:
        return f"{what} hours: known after the first run"
    hours = sum(left.seconds) * share / 3600
    rest = f", and {several(left.unknown, 'run')} of unknown length" if left.unknown else ""
    return f"about {hours:.3g} {what} hours from measured times{rest}"

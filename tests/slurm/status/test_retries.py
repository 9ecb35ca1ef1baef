"""Which runs a submit sends again, and with how much memory."""

from __future__ import annotations

from pathlib import Path

from told_scheduler import Scheduler

from petl.config.study import Study
from slurm.status.plan import Item, Plan
from slurm.submit.policy import batches, choose, difference, hints
from slurm.submit.profile import Profile

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: lora, fold: [0, 1, 2, 3], seed: 1}
"""


def with_causes(plan: Plan, causes: list[str]) -> list[Item]:
    for item, cause in zip(plan.items, causes, strict=True):
        kind = "waiting" if cause == "new" else "failed"
        item.state = type(item.state)(kind, cause=cause)
    return plan.items


def test_a_submit_is_told_as_a_difference(study: Study, runs: Path, scheduler: Scheduler) -> None:
    plan = Plan(study, runs)
    items = with_causes(plan, ["preempted", "host-memory", "diverged", "new"])
    profile = Profile(time="1", mem_gb=16.0)
    choice = choose(items, profile)
    assert difference(choice, {"done": 420, "pending": 3}) == (
        "420 done, 3 pending, 2 to retry: 1 out of memory, 1 preempted; 1 new; "
        "1 left alone: 1 diverged"
    )
    assert hints(choice.never)[0].strip() == "diverged: try a lower train.lr"
    normal, more = batches(choice, profile)
    assert (normal.mem_gb, len(normal.items)) == (16.0, 2)
    assert (more.mem_gb, len(more.items)) == (32.0, 1)


def test_more_memory_is_given_once(study: Study, runs: Path, scheduler: Scheduler) -> None:
    items = with_causes(Plan(study, runs), ["host-memory", "new", "new", "new"])
    assert len(choose(items, Profile(time="1", mem_gb=16.0)).more_memory) == 1
    assert len(choose(items, Profile(time="1", mem_gb=8.0)).more_memory) == 0
    (left,) = choose(items, Profile(time="1", mem_gb=8.0)).never
    assert left is items[0]

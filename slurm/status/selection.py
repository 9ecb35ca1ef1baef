"""Which runs a command is about, from the words after it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from petl.config.selection import select, setting
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.terminal import echo
from slurm.scheduler import start_asking
from slurm.status.plan import Item, Plan
from slurm.submission import read_submissions

RUN_ID = re.compile(r"[0-9a-f]{4,16}")


def studies(words: Sequence[str], runs: Path) -> tuple[list[Study], list[str]]:
    """The named study, or all that were submitted from this runs folder; and the other words."""
    if words and "=" not in words[0] and not _is_run(words[0]):
        return [load_study(words[0])], _with_run_ids(words[1:])
    loaded = []
    for folder in sorted(runs.glob("*/slurm")):
        known, damage = read_submissions(folder)
        try:
            loaded += [load_study(submission.record.study) for submission in known[-1:]]
        except UserError as error:
            damage.append(str(error))
        else:
            damage = [] if known else damage  # its plan has them
        warn(damage)
    if not loaded:
        raise UserError(f"no study was submitted to a cluster from {runs}; name a study")
    return loaded, _with_run_ids(words)


def plans_of(words: Sequence[str] | None, runs: Path) -> tuple[list[Plan], list[Item]]:
    start_asking()
    named, rest = studies(words or [], runs)
    plans = [Plan(study, runs) for study in named]
    for plan in plans:
        warn(plan.damage)
    return plans, chosen(plans, rest)


def warn(lines: Iterable[str]) -> None:
    for line in lines:
        echo(f"petl: warning: {line}", err=True)


def chosen(plans: Sequence[Plan], words: Sequence[str]) -> list[Item]:
    items = [item for plan in plans for item in plan.items]
    where = ", ".join(str(plan.study.path) for plan in plans)
    return select(items, words, value, where)


def of(plan: Plan, items: Sequence[Item]) -> list[Item]:
    """Those that belong to this plan."""
    chosen = {id(item) for item in items}
    return [item for item in plan.items if id(item) in chosen]


def value(item: Item, name: str) -> Any:
    """A setting of the task, or `state`, `cause` and `run`, which tell about its run."""
    if name == "state":
        return item.kind
    if name == "cause":
        return item.state.cause
    if name == "run":
        return item.task.run_id
    return setting(item.task, name)


def _is_run(word: str) -> bool:
    return bool(RUN_ID.fullmatch(word)) and not Path(word).exists()


def _with_run_ids(words: Sequence[str]) -> list[str]:
    """The first digits of a run's id select it."""
    return [f"run={word}*" if _is_run(word) else word for word in words]

"""Which runs a command is about, from the words after it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from petl.config.locate import study_file, study_name
from petl.config.selection import select, setting
from petl.config.study import Study, load_study
from petl.errors import UserError, several
from petl.runs.adopt import elsewhere
from petl.runs.directory import Runs
from petl.runs.find import study_in
from petl.terminal import echo
from slurm.scheduler import start_asking
from slurm.status.plan import Item, Plan
from slurm.submission import read_submissions

RUN_ID = re.compile(r"[0-9a-f]{4,16}")


def studies(words: Sequence[str], runs: Path, local: bool = False) -> tuple[list[Study], list[str]]:
    """The named study, or all that were submitted from this runs folder; and the other words.

    With `local`, also those that have runs there without a cluster.
    """
    if words and "=" not in words[0] and not _is_run(words[0]):
        return [_named(words[0], runs)], _with_run_ids(words[1:])
    loaded = []
    for folder in sorted(runs.iterdir() if runs.is_dir() else ()):
        try:
            if (folder / "slurm").is_dir():
                loaded += _submitted(folder)
            elif local and folder.is_dir() and Runs(folder):
                loaded.append(_named(folder.name, runs))
        except UserError as error:  # of one study; the others are shown
            warn([str(error)])
    if loaded and words and _is_run(words[0]):
        loaded = [one for one in loaded if _has(one, words[0])]
        if not loaded:
            raise UserError(f"no run in {runs} begins with '{words[0]}'; `petl ls` lists them")
    if not loaded:
        what = "has no runs" if local else "has no study that was submitted to a cluster"
        raise UserError(f"{runs} {what}; name a study, or choose the folder with --runs")
    return loaded, _with_run_ids(words)


def _submitted(folder: Path) -> list[Study]:
    """By its last submission, or from its runs if its file is gone."""
    known, damage = read_submissions(folder / "slurm")
    if not known:
        warn(damage)  # of the others their plan has it
        return []
    try:
        return [load_study(known[-1].record.study)]
    except UserError as error:
        warn([str(error)])
    return [study_in(folder)] if Runs(folder) else []


def _named(word: str, runs: Path) -> Study:
    """By its file; if that is gone, from the runs in the folder of its name."""
    folder = runs / study_name(word)
    if study_file(word) is None and folder.is_dir() and Runs(folder):
        found = study_in(folder)
        if found.tasks:
            return found
    return load_study(word)


def _has(study: Study, start: str) -> bool:
    return any(task.run_id.startswith(start) for task in study.tasks)


def plans_of(
    words: Sequence[str] | None, runs: Path, local: bool = False
) -> tuple[list[Plan], list[Item]]:
    start_asking()
    named, rest = studies(words or [], runs, local)
    plans = [Plan(study, runs) for study in named]
    for plan in plans:
        warn(plan.damage)
    return plans, chosen(plans, rest)


def warn(lines: Iterable[str]) -> None:
    for line in lines:
        echo(f"petl: warning: {line}", err=True)


def orphans(study: Study, runs: Path) -> Iterator[str]:
    """Say where runs of this study are if it has none and another name has them."""
    found = elsewhere((task.run_id for task in study.tasks), runs / study.name)
    for name, ids in found.items():
        yield (
            f"{several(len(ids), 'finished run')} of this study exist under the name {name}; "
            f"`petl adopt {quote(str(study.path))} {quote(name)}` takes them over"
        )


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
    return bool(RUN_ID.fullmatch(word)) and not Path(word).exists() and not study_file(word)


def _with_run_ids(words: Sequence[str]) -> list[str]:
    """The first digits of a run's id select it."""
    return [f"run={word}*" if _is_run(word) else word for word in words]

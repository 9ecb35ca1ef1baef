"""Choosing tasks by what a user types: an exact name, else a pattern, else a prefix."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from petl.config.task import Task
from petl.errors import UserError, nearest

Thing = TypeVar("Thing")

FIELDS = ("dataset", "backbone", "method", "fold", "seed")


def some_tasks(tasks: Sequence[Task], study: Path, **wanted: str | int | None) -> Sequence[Task]:
    """The tasks that match all given values."""
    for field, value in wanted.items():
        if value is None:
            continue
        have = _values(tasks, field)
        chosen = [name for name in have if name == value] or _like(str(value), have)
        if not chosen:
            near = nearest(value, map(str, have))
            raise UserError(f"{study}: no task with {field} '{value}'{near}")
        tasks = [task for task in tasks if _value(task, field) in chosen]
    return tasks


def one_task(tasks: Sequence[Task], study: Path, **wanted: str | int | None) -> Task:
    """The one task that matches; if several do, the error lists the options that would decide."""
    tasks = some_tasks(tasks, study, **wanted)
    if len({task.run_id for task in tasks}) > 1:
        undecided = {field: _values(tasks, field) for field in FIELDS}
        options = [f"--{field} ({_some(have)})" for field, have in undecided.items() if have[1:]]
        raise UserError(f"{study}: {len(tasks)} tasks match; add {' and '.join(options)}")
    return tasks[0]


def select(
    things: Sequence[Thing],
    words: Sequence[str],
    value: Callable[[Thing, str], Any],
    where: object,
) -> list[Thing]:
    """Those that match all filters: `method=conformer-*`, `fold=0-2,4`, `train.lr=0.001`.

    `value(thing, name)` looks a field up. A filter that matches nothing is a mistake.
    """
    left = list(things)
    for word in words:
        name, equals, wanted = word.partition("=")
        if not equals:
            raise UserError(f"'{word}' is not a filter; write FIELD=VALUE, such as method={word}")
        have = {str(value(thing, name)) for thing in things}
        left = [thing for thing in left if agrees(value(thing, name), wanted)]
        if not any(agrees(value(thing, name), wanted) for thing in things):
            raise UserError(f"{where}: no run has {name} '{wanted}'{nearest(wanted, have)}")
    return left


def agrees(have: Any, wanted: str) -> bool:
    """`wanted` is a comma-separated list of patterns, ranges of numbers and plain values."""
    return any(_agrees(have, part.strip()) for part in wanted.split(","))


def _agrees(have: Any, wanted: str) -> bool:
    if isinstance(have, bool) or have is None:
        return wanted.lower() == str(have).lower()
    if isinstance(have, int | float):
        if spread := re.fullmatch(r"(\d+)-(\d+)", wanted):
            return float(spread[1]) <= have <= float(spread[2])
        try:
            return bool(have == float(wanted))
        except ValueError:
            return False
    return fnmatchcase(str(have), wanted)


def setting(task: Task, name: str) -> Any:
    """`method` is the preset's name; `method.family` is a setting of the resolved task."""
    if name in FIELDS:
        return _value(task, name)
    value: Any = task
    for part in name.split("."):
        known = set(getattr(type(value), "model_fields", ()))
        if value is not None and part not in known:
            raise UserError(f"a task has no field '{name}'{nearest(name, {*FIELDS, *known})}")
        value = getattr(value, part, None)
    return value


def _like(wanted: str, have: Sequence[str | int]) -> list[str | int]:
    names = [name for name in have if isinstance(name, str)]
    return [name for name in names if fnmatchcase(name, wanted)] or [
        name for name in names if name.startswith(wanted)
    ]


def _values(tasks: Sequence[Task], field: str) -> list[str | int]:
    return list(dict.fromkeys(_value(task, field) for task in tasks))


def _value(task: Task, field: str) -> str | int:
    value: str | int = getattr(task if field in ("fold", "seed") else task.names, field)
    return value


def _some(values: Sequence[str | int], most: int = 12) -> str:
    return ", ".join(map(str, values[:most])) + (", ..." if len(values) > most else "")

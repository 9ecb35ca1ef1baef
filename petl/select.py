"""From what a person types to tasks: an exact name, else a pattern, else a beginning."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from petl.config import Task
from petl.errors import UserError, nearest

FIELDS = ("dataset", "backbone", "method", "fold", "seed")


def some_tasks(tasks: Sequence[Task], study: Path, **wanted: str | int | None) -> Sequence[Task]:
    """The tasks that all given selectors agree on."""
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
    """The one that is left; if several are, say what would decide."""
    tasks = some_tasks(tasks, study, **wanted)
    if len({task.run_id for task in tasks}) > 1:
        undecided = {field: _values(tasks, field) for field in FIELDS}
        options = [f"--{field} ({_some(have)})" for field, have in undecided.items() if have[1:]]
        raise UserError(f"{study}: {len(tasks)} tasks match; choose by {' and '.join(options)}")
    return tasks[0]


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

"""The tasks of a submission, as its jobs read them.

A manifest is lines of JSON: the first says how runs are executed and repeats the submission's
record, in case that file is damaged; every other is a task. A job is called with its path, so it
means the same on another machine or under another Python, and a person can read what was submitted.

Others of the group may be able to change it. So it is data and nothing else, and names no folder:
runs go where the manifest itself lies, and data and cache are words of the call, which Slurm keeps
in its own copy of the job script.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from petl.config import Task
from petl.config.options import Options
from petl.errors import UserError
from petl.files import json_lines, open_regular, write_atomic
from petl.runs.code.archive import Code


def write_manifest(
    path: Path,
    tasks: Iterable[Task],
    options: Options,
    code: Code | None = None,
    record: dict[str, Any] | None = None,
) -> None:
    """`code` is for people, and for `petl clean`: what a job imports is a word of its call."""
    head = {"options": options.to_json(), "code": code and asdict(code), "record": record}
    write_atomic(path, json_lines([head, *(task.to_json() for task in tasks)]))


def repeated_record(path: Path) -> Any:
    """The submission's record; None if the manifest does not repeat it, or cannot be read."""
    try:
        with open_regular(path) as file:
            return json.loads(next(file))["record"]
    except (OSError, StopIteration, ValueError, KeyError, TypeError, RecursionError):
        return None


def read_manifest(path: Path, index: int) -> tuple[Task, Options]:
    """The task on a line, counted from 0, and how to execute it."""
    try:
        with open_regular(path) as file:
            options = Options.from_json(json.loads(next(file))["options"])
            task = Task.model_validate_json(next(islice(file, index, None)))
    except (StopIteration, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}:{index + 2}: no valid task; submit the study again") from None
    if task.names.study != path.absolute().parents[2].name:
        raise UserError(f"{path}:{index + 2}: this task is of another study, {task.names.study}")
    return task, options

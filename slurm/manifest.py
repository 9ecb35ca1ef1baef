"""The tasks of a submission, as its jobs read them.

A manifest is lines of JSON: the first says where the folders are, every other is a task. A job is
called with its path and a number, so it means the same on another machine or under another Python,
and a person can read what was submitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from petl.config import Task
from petl.config.options import Options
from petl.files import json_lines, write_atomic
from petl.places import Places

FOLDERS = ("runs", "data", "cache")


def write_manifest(path: Path, tasks: Iterable[Task], places: Places, options: Options) -> None:
    head = {name: str(getattr(places, name)) for name in FOLDERS} | {"options": options.to_json()}
    write_atomic(path, json_lines([head, *(task.to_json() for task in tasks)]))


def read_manifest(path: Path, index: int) -> tuple[Task, Places, Options]:
    with path.open() as file:
        head = json.loads(next(file))
        task = Task.model_validate_json(next(islice(file, index, None)))
    places = Places(*(Path(head[name]) for name in FOLDERS))
    return task, places, Options.from_json(head["options"])

"""What a job runs: one task, named by its place in a manifest.

The only things ever pickled are functions by their name, with a path and a number. A manifest is
lines of JSON: the first says where things lie, every other is a task. So a job means the same on
another machine or under another Python, and a person can read what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from petl.config import Task
from petl.config.options import Options
from petl.files import write_atomic
from petl.places import Places
from petl.runs.claim import RunIsTaken
from slurm.node.stop import INTERRUPTED, Stop


def write_manifest(path: Path, tasks: Iterable[Task], places: Places, options: Options) -> None:
    head = {
        "runs": str(places.runs),
        "data": str(places.data),
        "cache": str(places.cache),
        "options": options.to_json(),
    }
    lines = [json.dumps(line) for line in (head, *(task.to_json() for task in tasks))]
    write_atomic(path, ("\n".join(lines) + "\n").encode())


def read_manifest(path: Path, index: int) -> tuple[Task, Places, Options]:
    with path.open() as file:
        head = json.loads(next(file))
        task = Task.model_validate_json(next(islice(file, index, None)))
    places = Places(*(Path(head[key]) for key in ("runs", "data", "cache")))
    return task, places, Options.from_json(head["options"])


def run(manifest: str, index: int) -> None:
    """A local job. A run that somebody else has taken meanwhile is in good hands: no failure."""
    stop = Stop().listen()
    task, places, options = read_manifest(Path(manifest), index)
    from petl.train.run import Interrupted, run_task

    try:
        run_task(task, places, options, stop=stop)
    except RunIsTaken as taken:
        print(taken)
    except Interrupted:
        raise SystemExit(INTERRUPTED) from None

"""What a job runs: one task, named by its place in a manifest.

The only thing ever pickled is `run` with a path and a number. A manifest is lines of JSON: the
first says where things lie, every other is a task. So a job means the same on another machine or
under another Python, and a person can read what was asked for.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import NoReturn

from petl.claim import RunIsTaken
from petl.config import Task
from petl.files import write_atomic
from petl.options import Options
from petl.places import Places


def write_manifest(path: Path, tasks: Iterable[Task], places: Places, threads: int) -> None:
    head = {
        "runs": str(places.runs),
        "data": str(places.data),
        "cache": str(places.cache),
        "threads": threads,
    }
    lines = [json.dumps(line) for line in (head, *(task.to_json() for task in tasks))]
    write_atomic(path, ("\n".join(lines) + "\n").encode())


def read_manifest(path: Path, index: int) -> tuple[Task, Places, int]:
    with path.open() as file:
        head = json.loads(next(file))
        task = Task.model_validate_json(next(islice(file, index, None)))
    return task, Places(*(Path(head[key]) for key in ("runs", "data", "cache"))), head["threads"]


def run(manifest: str, index: int) -> None:
    """Train the task. A run that somebody else has taken meanwhile is in good hands: no failure."""
    signal.signal(signal.SIGTERM, _leave)
    task, places, threads = read_manifest(Path(manifest), index)
    from petl.train import run_task

    try:
        run_task(task, places, Options(threads=threads))
    except RunIsTaken as taken:
        print(taken)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """submitit ignores SIGTERM; here it unwinds the stack once, which releases the run's claim."""
    signal.signal(signum, signal.SIG_IGN)
    raise SystemExit(128 + signum)

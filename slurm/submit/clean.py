"""What may be removed of a study: never a finished run of it, nothing that is at work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from petl.runs.claim import is_alive
from petl.runs.directory import RunDir
from slurm.status.plan import Plan
from slurm.submission import submissions
from slurm.words import several, size

SHOWN = 5


class Heap(NamedTuple):
    what: str
    paths: list[Path]

    def size(self) -> str:
        files = [file for path in self.paths for file in _files(path)]
        return f"{several(len(files), 'file')}, {size(sum(f.stat().st_size for f in files))}"

    def some(self) -> list[str]:
        more = len(self.paths) - SHOWN
        rest = [f"and {more} more"] if more > 0 else []
        return [*map(str, self.paths[:SHOWN]), *rest]


def rubbish(plan: Plan, finished: bool) -> list[Heap]:
    """`finished`: finished runs too, if the study no longer has them."""
    strays = list(_strays(plan))
    done = [run for run in strays if run.result_file.exists()]
    heaps = [
        Heap("job files of submissions that are over", list(_over(plan))),
        Heap(
            "unfinished runs that the study no longer has",
            [run.path for run in strays if run not in done and not is_alive(run.claim_file)],
        ),
        Heap("what finished runs have left behind", list(_leftovers(plan))),
    ]
    if finished:
        what = "FINISHED runs that the study no longer has"
        heaps.append(Heap(what, [run.path for run in done]))
    return [heap for heap in heaps if heap.paths]


def remove(heaps: Sequence[Heap]) -> None:
    for path in (path for heap in heaps for path in heap.paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _over(plan: Plan) -> Iterator[Path]:
    """A submission is needed as long as it is the last word on an unfinished run."""
    if plan.trouble:
        return  # what is queued is not known
    needed = {item.tries[-1].submission.folder for item in plan.items if item.needs_its_try}
    queued = {place.array for place in plan.queue.jobs}
    for submission in submissions(plan.jobs):
        if submission.folder not in needed and queued.isdisjoint(submission.names):
            yield submission.folder


def _strays(plan: Plan) -> Iterator[RunDir]:
    """Run directories of settings that the study had once."""
    ours = {item.task.run_id for item in plan.items}
    for path in sorted(plan.jobs.parent.glob("[0-9a-f]" * 16)):
        if path.name not in ours and (path / "task.json").exists():
            yield RunDir(path)


def _leftovers(plan: Plan) -> Iterator[Path]:
    for item in plan.items:
        if item.kind == "done":
            for file in ("requeues.json", "resume.safetensors", "resume.before.safetensors"):
                if (path := item.run.path / file).exists():
                    yield path


def _files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]

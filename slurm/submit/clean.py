"""What may be removed of a study: never a finished run of it, nothing that is in use.

Damaged runs are moved aside, never removed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from petl.errors import UserError, reason, several
from petl.runs.claim import is_alive
from petl.runs.damage import Damage, damage_of
from petl.runs.directory import RunDir
from slurm.format import size
from slurm.status.plan import Item, Plan

SHOWN = 5


class Group(NamedTuple):
    """Files and folders that are removed for the same reason."""

    what: str
    paths: list[Path]

    @property
    def title(self) -> str:
        files = [file for path in self.paths for file in _files(path)]
        total = size(sum(file.stat().st_size for file in files))
        return f"{self.what}: {several(len(files), 'file')}, {total}"

    def some(self) -> list[str]:
        more = len(self.paths) - SHOWN
        rest = [f"and {more} more"] if more > 0 else []
        return [*map(str, self.paths[:SHOWN]), *rest]


def removable(plan: Plan, finished: bool) -> list[Group]:
    """With `finished`, also finished runs that are no longer in the study."""
    strays = list(_strays(plan))
    done = [run for run in strays if run.result_file.exists()]
    idle = [run for run in strays if run not in done and not is_alive(run.claim_file)]
    groups = [
        Group("job files of submissions that are over", list(_over(plan))),
        Group("unfinished runs that are no longer in the study", [run.path for run in idle]),
        Group("leftovers of finished runs", list(_leftovers(plan))),
    ]
    if finished:
        paths = [run.path for run in done]
        groups.append(Group("FINISHED runs that are no longer in the study", paths))
    return [group for group in groups if group.paths]


def damaged(items: Sequence[Item]) -> dict[Path, list[Damage]]:
    """What is damaged in the folders of these runs; nobody works on them."""
    folders = [item.run for item in items if os.path.lexists(item.run.path)]
    by_folder = {run.path: damage_of(run) for run in folders if not is_alive(run.claim_file)}
    return {folder: damage for folder, damage in by_folder.items() if damage}


def move_aside(folder: Path, name: str = "damaged") -> Path:
    """To a folder in the study's, where no command looks for runs; nothing is removed."""
    aside = folder.parent / name
    if aside.is_symlink():
        raise UserError(f"{aside}: a link, and petl moves runs only into a real folder")
    target = aside / f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        aside.mkdir(exist_ok=True)
        folder.rename(target)
    except OSError as error:
        raise UserError(f"{folder}: cannot be moved to {target}: {reason(error)}") from None
    return target


def remove(groups: Sequence[Group]) -> None:
    for path in (path for group in groups for path in group.paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _over(plan: Plan) -> Iterator[Path]:
    """A submission is needed while it tells why an unfinished run has no result."""
    if plan.trouble:
        return  # what is queued is not known
    unfinished = [item for item in plan.items if item.attempts and item.kind != "done"]
    needed = {item.attempts[-1].submission.folder for item in unfinished}
    queued = {task.array for task in plan.queue.jobs}
    for submission in plan.submissions:
        if submission.folder not in needed and queued.isdisjoint(submission.names):
            yield submission.folder


def _strays(plan: Plan) -> Iterator[RunDir]:
    """Run directories of settings that the study no longer has."""
    ours = {item.task.run_id for item in plan.items}
    for path in sorted(plan.slurm_folder.parent.glob("[0-9a-f]" * 16)):
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

"""From what a person types to a run: its folder, its id, or a beginning of it. Light: no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from petl.config import Task
from petl.config.validate import validate
from petl.errors import UserError, nearest
from petl.runs.directory import RunDir, Runs

LISTED = 4


def find_run(said: str, runs: Path) -> RunDir:
    """A folder with a task.json, or else `<run id>` or `<study>/<run id>` under the runs.

    A packed run has no folder, and is found by the name that it would have.
    """
    for folder in (Path(said), runs / said):
        if RunDir(folder).read("task.json") is not None:
            return RunDir(folder)
    if Path(said).is_dir():
        raise UserError(f"{said}: has no task.json, so it is no run{_runs_inside(Path(said))}")
    have = list(_all(runs))
    matching = [path for path in have if _begins(path, said)]
    if len(matching) == 1:
        return RunDir(matching[0])
    if matching:
        more = f" and {len(matching) - LISTED} more" if len(matching) > LISTED else ""
        listed = ", ".join(map(_name, matching[:LISTED]))
        raise UserError(f"'{said}' begins {len(matching)} runs under {runs}: {listed}{more}")
    raise UserError(_not_found(said, runs, have))


def read_task(run: RunDir) -> Task:
    return task_in(run.task(), run.task_file)


def task_in(data: Any, file: Path) -> Task:
    if not isinstance(data, dict):
        raise UserError(f"{file}: is damaged, so nobody knows what this run is")
    return validate(Task, data, lambda key: str(file))


def _all(runs: Path) -> Iterator[Path]:
    """By their names alone: looking into each of very many takes minutes on a shared disk."""
    for study in sorted(runs.iterdir() if runs.is_dir() else ()):
        yield from (study / run_id for run_id in Runs(study))


def _begins(path: Path, said: str) -> bool:
    return path.name.startswith(said) or _name(path).startswith(said)


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _not_found(said: str, runs: Path, have: list[Path]) -> str:
    if not have:
        return f"no run '{said}': there is none under {runs}; --runs or PETL_RUNS names the folder"
    names = [_name(path) if "/" in said else path.name for path in have]
    near = nearest(said, names)
    if not near.startswith("; did you mean"):
        near = "; `petl plan STUDY --list` shows the ids of a study's runs"
    return f"no run '{said}' among the {len(have)} under {runs}{near}"


def _runs_inside(folder: Path) -> str:
    """Somebody may have named a study's folder."""
    inside = [file.parent.name for file in sorted(folder.glob("*/task.json"))]
    return f"; {len(inside)} runs are in it, such as {inside[0]}" if inside else ""

"""Finding a run by what a user types: its folder, its id, or the beginning of its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from petl.config import Task
from petl.config.study import Study
from petl.config.study_file import Report
from petl.config.validate import validate
from petl.errors import UserError, nearest, reason, several
from petl.places import Places
from petl.runs.archive.format import RUN_ID
from petl.runs.directory import RunDir, Runs

LISTED = 4


def find_run(name: str, runs: Path) -> RunDir:
    """A folder with a task.json, or `<run id>` or `<study>/<run id>` in the folder of runs.

    A packed run has no folder; the name that its folder would have finds it.
    """
    try:
        for folder in (Path(name), runs / name):
            if RunDir(folder).read("task.json") is not None:
                return RunDir(folder)
        if Path(name).is_dir():
            raise UserError(f"{name}: not a run, it has no task.json{_runs_inside(Path(name))}")
        have = list(_all(runs))
    except OSError as error:  # a name that is too long, a folder of somebody else
        raise UserError(f"{error.filename!s:.200}: {reason(error)}") from None
    matching = [path for path in have if _begins(path, name)]
    if len(matching) == 1:
        return RunDir(matching[0])
    if matching:
        more = f" and {len(matching) - LISTED} more" if len(matching) > LISTED else ""
        listed = ", ".join(map(_name, matching[:LISTED]))
        raise UserError(f"{len(matching)} runs in {runs} begin with '{name}': {listed}{more}")
    raise UserError(_not_found(name, runs, have))


def any_run(run_id: str, runs: Path) -> RunDir | None:
    """A run with this id, of any study: a finished one if there is one, else one that has begun.

    Studies with the same settings share ids, and numbers.
    """
    begun = None
    for folder in sorted(runs.iterdir() if runs.is_dir() else ()):
        run = RunDir(folder / run_id)
        if run.result() is not None:
            return run
        if begun is None and run.read("task.json") is not None:
            begun = run
    return begun


def read_task(run: RunDir) -> Task:
    return task_in(run.task(), run.task_file)


def task_in(data: Any, file: Path) -> Task:
    if not isinstance(data, dict):
        raise UserError(f"{file}: damaged; petl cannot tell which task this run is")
    return validate(Task, data, lambda key: str(file))


def study_in(folder: Path) -> Study:
    """A study from the runs in its folder, in no other order than their names': its file is gone.

    Runs of another version, whose settings cannot be read, are left out.
    """
    runs, tasks = Runs(folder), []
    for run_id in runs:
        with suppress(UserError):
            tasks.append(task_in(runs.task(run_id), folder / run_id / "task.json"))
    tasks.sort(key=lambda task: (*task.names.model_dump().values(), task.seed, task.fold))
    reports_best = any(task.weights.startswith("best") for task in tasks)
    report: Report = "test_best" if reports_best else "test_last"
    return Study(folder.name, Path(f"{folder.name}.yaml"), "", report, tasks)


def complete(incomplete: str) -> list[str]:
    """The ids of runs that begin so. Packed ones are left out: TAB has to be quick."""
    folders = Places.choose().runs.glob(f"*/{incomplete}*") if incomplete.isalnum() else ()
    ids = {folder.name for folder in folders if RUN_ID.fullmatch(folder.name)}
    return sorted(ids)


def _all(runs: Path) -> Iterator[Path]:
    """Lists names only: opening very many folders takes minutes on a shared disk."""
    for study in sorted(runs.iterdir() if runs.is_dir() else ()):
        yield from (study / run_id for run_id in Runs(study))


def _begins(path: Path, name: str) -> bool:
    return path.name.startswith(name) or _name(path).startswith(name)


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _not_found(name: str, runs: Path, have: list[Path]) -> str:
    if not have:
        return (
            f"no run '{name}': {runs} contains no runs; choose the folder with --runs or PETL_RUNS"
        )
    names = [_name(path) if "/" in name else path.name for path in have]
    near = nearest(name, names)
    if not near.startswith("; did you mean"):
        near = "; `petl plan STUDY --list` shows the ids of a study's runs"
    return f"no run '{name}' among the {len(have)} in {runs}{near}"


def _runs_inside(folder: Path) -> str:
    """A hint for a user who has named the folder of a study."""
    inside = [file.parent.name for file in sorted(folder.glob("*/task.json"))]
    return f"; it contains {several(len(inside), 'run')}, such as {inside[0]}" if inside else ""

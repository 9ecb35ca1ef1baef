"""`petl submit --retrain`: train finished runs again, and keep their weights this time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from petl.config import Task
from petl.config.study import Study
from petl.config.task import Weights
from petl.errors import UserError
from petl.runs.claim import is_alive
from petl.runs.directory import RunDir
from petl.terminal import echo
from slurm.submit.clean import move_aside

ASIDE = "replaced"


def retrained(study: Study, names: Sequence[str], runs: Path) -> Study:
    """The study, in which these runs keep their weights and have no result any more.

    A finished one is moved to `replaced` in the study's folder; nothing is removed.
    """
    chosen = {_task(study, name).run_id for name in names}
    tasks = [_keeping(task, study) if task.run_id in chosen else task for task in study.tasks]
    folders = [RunDir.of(task, runs) for task in tasks if task.run_id in chosen]
    for run in folders:  # all are looked at before any is moved
        _check(run)
    for run in folders:
        if run.result() is not None:
            echo(f"{run.path} is now {move_aside(run.path, ASIDE)}")
    return replace(study, tasks=tasks)


def _task(study: Study, name: str) -> Task:
    run_id = name.rstrip("/").rpartition("/")[2]
    found = [task for task in study.tasks if task.run_id.startswith(run_id)]
    if len({task.run_id for task in found}) != 1:
        raise UserError(
            f"--retrain {name}: {len(found)} runs of {study.path} begin with this id; "
            "`petl plan STUDY --list` shows the ids"
        )
    return found[0]


def _keeping(task: Task, study: Study) -> Task:
    weights: Weights = "last" if study.report == "test_last" else "best"
    return task.model_copy(update={"weights": weights})


def _check(run: RunDir) -> None:
    if is_alive(run.claim_file):
        raise UserError(f"{run.path}: it is running now; wait until it has ended")
    if run.result() is None:
        return
    with run.at_hand(run.weights_file.name) as weights:
        if weights.is_file():
            raise UserError(f"{run.path}: it has its weights; there is no need to train it again")
    if not run.result_file.exists():
        raise UserError(f"{run.path}: it is packed; `petl compact STUDY --undo` unpacks it first")

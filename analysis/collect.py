"""A study's run directories as one DataFrame: a row for every task, finished or not.

A missing run is a row too, so that nothing downstream can mistake three folds for five.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from petl.config import Task
from petl.errors import UserError
from petl.runs import RunDir
from petl.study import Study

RESULT_PARTS = ("params", "best_epoch", "epochs", "timing", "peak_memory_mb", "environment")
"""What is read of result.json besides its metrics, which lose their prefix, and its task."""

ALWAYS = (
    "reason",
    "test_last.accuracy",
    "test_best.accuracy",
    "params.trainable",
    "params.trainable_without_head",
    "params.total",
    "best_epoch",
    "timing.seconds",
    "environment.git_commit",
    "environment.image",
    "environment.lock_hash",
)
"""Columns that are there even when no run is, so that code over a young study does not break."""

METRIC = re.compile(r"(train|val|test)(_\w+)?\..+")
NUMBER = re.compile(rf"{METRIC.pattern}|params\..+|timing\..+|best_epoch|epochs|peak_memory_mb")


def load(study: Study, runs: Path) -> pd.DataFrame:
    """One row per task, in the study's order; accuracies stay in 0..1, as in result.json."""
    frame = pd.DataFrame([_row(task, runs) for task in study.tasks])
    missing = [column for column in ALWAYS if column not in frame]
    frame = frame.reindex(columns=[*frame.columns, *missing])
    for column in filter(NUMBER.fullmatch, frame.columns):
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
    return frame


def metrics(frame: pd.DataFrame) -> list[str]:
    """The columns that some run measured, such as `test_last.accuracy`."""
    return [name for name in frame if METRIC.fullmatch(name) and frame[name].notna().any()]


def _row(task: Task, runs: Path) -> dict[str, Any]:
    run_id = task.run_id
    row = {**task.names.model_dump(), "fold": task.fold, "seed": task.seed, "run_id": run_id}
    run = RunDir(runs / task.names.study / run_id)
    try:
        state = run.state()
        measured = _measured(run, run_id) if state.kind == "done" else {}
    except Exception as error:  # whatever lies in a broken folder, it is this row's trouble only
        return {**row, "state": "broken", "reason": _one_line(error)}
    return {**row, "state": state.kind, "reason": state.reason, **measured}


def _measured(run: RunDir, run_id: str) -> dict[str, Any]:
    result = run.result() or {}
    if result["run_id"] != run_id:
        raise UserError(f"{run.result_file}: the result of another run, {result['run_id']}")
    parts = {part: result.get(part) for part in RESULT_PARTS}
    return {**dict(_flat(result["metrics"])), **dict(_flat(parts))}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"params": {"total": 3}}` -> `params.total`; lists do not fit a cell and are left out."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            yield f"{prefix}{key}", value


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"

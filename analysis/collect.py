"""Runs as one DataFrame: a row for each, finished or not, or a row for each of its epochs.

A missing run is a row too, so that nothing downstream can mistake three folds for five; a broken
one is a row with its reason. The columns of `load`:

    study dataset backbone method dataset_label method_label    what people call the parts
    fold seed run_id
    state reason            done, running, failed, stopped, waiting or broken, and why
    synthetic               True where `petl fabricate` made the numbers up
    test_last.accuracy ...  each metric of test_last, test_best and val_best, as in result.json
    gpu_hours timing.seconds peak_memory_mb ...                 what it cost; 0 GPU hours on a CPU
    params.trainable epochs environment.git_commit ...          the rest of result.json
    dataset.frames backbone.source method.block.kernel train.lr ...     the settings, by their names

A list of plain values is a text, `0.9, 0.98`; a list of parts is numbered, `method.methods.0.rank`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from pydantic_core import to_json

from petl.config import Task
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.places import Places
from petl.runs.directory import Runs
from petl.runs.result import SPLITS, Summary

Source: TypeAlias = "Study | str | Path | Sequence[str | Path]"
"""A study, its YAML file, or folders: of one study's runs, or of many studies'."""

NAMES = ("study", "dataset", "backbone", "method", "dataset_label", "method_label")
OF_AN_ENTRY = ("fold", "seed", "run_id")
FIRST = (*NAMES, *OF_AN_ENTRY, "state", "reason", "synthetic")
ALWAYS = (
    "test_last.accuracy",
    "test_best.accuracy",
    "params.trainable",
    "params.trainable_without_head",
    "params.total",
    "best_epoch",
    "gpu_hours",
    "timing.seconds",
    "peak_memory_mb",
    "environment.git_commit",
    "environment.image",
    "environment.lock_hash",
)
"""Columns that are there even when no run is, so that code over a young study does not break."""

ELSEWHERE = frozenset({"schema", "run_id", "task", "metrics", "synthetic", "statistics"})
"""Parts of a result that are columns under another name, or none."""
Row: TypeAlias = "dict[str, Any]"


def load(what: Source, runs: Path | None = None) -> pd.DataFrame:
    """One row per task of a study, in its order, or per run in folders; accuracies stay in 0..1.

    `runs` is the folder of all studies' runs, by default where PETL_RUNS says. A run that lies in
    several folders counts once; `frame.attrs["duplicates"]` lists the others.
    """
    found = _Found(what, runs)
    rows = _Columns(len(found.entries))
    for i, entry in enumerate(found.entries):
        rows.put(i, _row(entry))
    frame = pd.concat([pd.DataFrame(rows.columns), found.settings_of(found.entries)], axis=1)
    frame = frame.reindex(columns=list(dict.fromkeys([*FIRST, *rows.columns, *ALWAYS, *frame])))
    frame.attrs["duplicates"] = found.duplicates
    return frame


def history(what: Source, runs: Path | None = None) -> pd.DataFrame:
    """One row per run and epoch so far: who it is, and what the epoch's line of metrics says.

    Those whose metrics.jsonl is damaged are left out; `frame.attrs["broken"]` lists them.
    """
    found = _Found(what, runs)
    entries, lengths, broken = [], [], []
    columns = {"epoch": array("d")}  # in a list each number would take four times as much
    for entry in found.entries:
        try:
            rows = entry.view.metrics(entry.run_id)
            names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
            more = {name: array("d", [row.get(name, nan) for row in rows]) for name in names}
        except (ValueError, TypeError) as error:
            broken.append(f"{entry.view.run(entry.run_id).metrics_file}: {_one_line(error)}")
            continue
        before = len(columns["epoch"])
        for name, values in more.items():
            if name not in columns:
                columns[name] = array("d", [nan]) * before
            columns[name].extend(values)
        entries.append(entry)
        lengths.append(len(rows))
    who = found.settings_of(entries)[list(NAMES)]
    who = who.assign(**{name: [getattr(e, name) for e in entries] for name in OF_AN_ENTRY})
    who = who.take(np.repeat(np.arange(len(entries)), lengths)).reset_index(drop=True)
    measured = pd.DataFrame({name: np.array(values) for name, values in columns.items()})
    frame = pd.concat([who, measured.astype({"epoch": int})], axis=1)
    frame.attrs["broken"] = broken
    return frame


def refuse_unfinished(frame: pd.DataFrame, study: Study, runs: Path) -> None:
    if not (frame["state"] == "done").any():
        raise UserError(
            f"{study.name} has no finished run in {runs}; run it with: petl submit {study.path}"
        )


def metrics(frame: pd.DataFrame) -> list[str]:
    """The columns that some run measured, such as `test_last.accuracy`."""
    return [name for name in frame if is_metric(name) and frame[name].notna().any()]


def is_metric(column: str) -> bool:
    """Such as `test_last.accuracy`."""
    return column.partition(".")[0] in SPLITS


def synthetic(frame: pd.DataFrame) -> bool:
    """Is any of these numbers made up? Then whatever shows them has to say so."""
    return bool(frame["synthetic"].any())


# --- which runs -----------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """A run to read, and the number of its settings."""

    view: Runs
    run_id: str
    settings: int
    fold: int | None
    seed: int | None


class _Found:
    """The runs of a study or of folders. Very many runs share few settings: each is kept once."""

    def __init__(self, what: Source, runs: Path | None):
        self.settings: list[Row] = []
        self.numbers: dict[Any, int] = {}
        self.duplicates: list[str] = []
        if isinstance(what, str | Path) and Path(what).suffix in (".yaml", ".yml"):
            what = load_study(what)
        if isinstance(what, Study):
            self.entries = list(self._of_study(what, runs or Places.choose().runs))
        else:
            folders = [what] if isinstance(what, str | Path) else what
            self.entries = list(self._in_folders([Path(folder) for folder in folders]))

    def settings_of(self, entries: Sequence[_Entry]) -> pd.DataFrame:
        """Their columns, as many rows as entries."""
        table = pd.DataFrame(self.settings)
        return table.take([entry.settings for entry in entries]).reset_index(drop=True)

    def _of_study(self, study: Study, runs: Path) -> Iterator[_Entry]:
        view = Runs(runs / study.name)
        for task in study.tasks:
            yield _Entry(view, task.run_id, self._of_task(task), task.fold, task.seed)

    def _in_folders(self, folders: Sequence[Path]) -> Iterator[_Entry]:
        seen: dict[tuple[str, str], Path] = {}
        for view in (view for folder in folders for view in _views(folder)):
            for run_id in view:
                task = view.task(run_id) or {"names": {"study": view.folder.name}}
                settings = self._of_json(task)
                run, key = view.folder / run_id, (self.settings[settings]["study"], run_id)
                if key in seen:
                    self.duplicates.append(f"{run}: the same run as {seen[key]}")
                    continue
                seen[key] = run
                yield _Entry(view, run_id, settings, task.get("fold"), task.get("seed"))

    def _of_task(self, task: Task) -> int:
        """Tasks of one combination share these very objects."""
        parts = (task.names, task.dataset, task.backbone, task.method, task.train, task.weights)
        key = tuple(map(id, parts))
        if key not in self.numbers:
            self.numbers[key] = self._add(task.to_json())
        return self.numbers[key]

    def _of_json(self, task: Row) -> int:
        key = to_json({name: part for name, part in task.items() if name not in OF_AN_ENTRY})
        if key not in self.numbers:
            self.numbers[key] = self._add(task)
        return self.numbers[key]

    def _add(self, task: Row) -> int:
        settings = {k: part for k, part in task.items() if k not in ("names", *OF_AN_ENTRY)}
        names = dict.fromkeys(NAMES) | task["names"]
        self.settings.append({**names, **_flat(settings, lists=True)})
        return len(self.settings) - 1


def _views(folder: Path) -> list[Runs]:
    """A study's folder, or the folder of many studies."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    inside = [Runs(path) for path in (folder, *sorted(folder.iterdir())) if path.is_dir()]
    views = [view for view in inside if view]
    if not views:
        raise UserError(f"{folder}: no runs are in it, nor in the folders in it")
    return views


# --- what a run says ------------------------------------------------------------------------------


class _Columns:
    """Filled row by row; what a row does not have is NaN."""

    def __init__(self, size: int):
        self.size = size
        self.columns: dict[str, list[Any]] = {}

    def put(self, i: int, row: Row) -> None:
        for name, value in row.items():
            if (column := self.columns.get(name)) is None:
                column = self.columns[name] = [nan] * self.size
            column[i] = value


def _row(entry: _Entry) -> Row:
    row = {name: getattr(entry, name) for name in OF_AN_ENTRY} | {"synthetic": False}
    try:
        result = entry.view.result(entry.run_id)
        if result is None:
            state = entry.view.state(entry.run_id)
            return {**row, "state": state.kind, "reason": state.reason}
        return {**row, "state": "done", "reason": "", **_measured(result, entry)}
    except Exception as error:  # whatever lies in a broken folder, it is this row's trouble only
        return {**row, "state": "broken", "reason": _one_line(error)}


def _measured(result: Summary, entry: _Entry) -> Row:
    if result["run_id"] != entry.run_id:
        file = entry.view.run(entry.run_id).result_file
        raise UserError(f"{file}: the result of another run, {result['run_id']}")
    measured: Row = {"synthetic": bool(result.get("synthetic", False))}
    _flat(result["metrics"], into=measured)
    measured["gpu_hours"] = _gpu_hours(result)
    return _flat({k: part for k, part in result.items() if k not in ELSEWHERE}, into=measured)


def _gpu_hours(result: Summary) -> float:
    return result["timing"]["seconds"] / 3600 if result["environment"].get("gpu") else 0.0


def _flat(
    tree: Mapping[str, Any], prefix: str = "", lists: bool = False, into: Row | None = None
) -> Row:
    """`{"params": {"total": 3}}` -> `params.total`; a result's lists do not fit a cell."""
    flat = {} if into is None else into
    for key, value in tree.items():
        kind = type(value)
        if kind is dict:
            _flat(value, f"{prefix}{key}.", lists, flat)
        elif kind is not list:
            flat[f"{prefix}{key}"] = value
        elif lists and any(isinstance(part, dict) for part in value):
            _flat({str(i): part for i, part in enumerate(value)}, f"{prefix}{key}.", lists, flat)
        elif lists:
            flat[f"{prefix}{key}"] = ", ".join(map(str, value))
    return flat


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"

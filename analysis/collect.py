"""Runs as one DataFrame: a row for each run, or for each epoch of each run.

A missing run is a row too, so that three folds are never mistaken for five; a broken run is a row
with its reason. The columns of `load`:

    study dataset backbone method dataset_label method_label    names and labels
    fold seed run_id
    state reason            done, running, failed, stopped, waiting or broken, and why
    synthetic               True if `petl fabricate` made the numbers up
    test_last.accuracy ...  each metric of test_last, test_best and val_best, as in result.json
    gpu_hours timing.seconds peak_memory_mb ...                 what it cost; 0 GPU hours on a CPU
    params.trainable epochs environment.git_commit ...          the rest of result.json
    dataset.frames backbone.source method.block.kernel train.lr ...     the settings, by their names

A list of values is a text, `0.9, 0.98`; a list of mappings is numbered, `method.methods.0.rank`.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from pydantic_core import to_json

from petl.config.kinds import HEADLINES
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.places import Places
from petl.runs.damage import damage_of
from petl.runs.directory import Runs
from petl.runs.result import SPLITS, Summary
from petl.terminal import echo

Source: TypeAlias = "Study | str | Path | Sequence[str | Path]"
"""A study, its YAML file, or folders of runs: of one study or of many."""

NAMES = ("study", "dataset", "backbone", "method", "dataset_label", "method_label")
OF_A_RUN = ("fold", "seed", "run_id")
FIRST = (*NAMES, *OF_A_RUN, "state", "reason", "synthetic")
ALWAYS = (
    "params.trainable",
    "params.trainable_without_head",
    "params.total",
    "best_epoch",
    "gpu_hours",
    "timing.seconds",
    "peak_memory_mb",
    "environment.git_commit",
    "environment.code.source",
    "environment.image",
    "environment.lock_hash",
)
"""Columns that exist even without a finished run, so that code over a new study works.

So do the headline metrics of the study's kinds of task, such as `test_last.accuracy`.
"""

ELSEWHERE = frozenset({"schema", "run_id", "task", "metrics", "synthetic", "statistics"})
"""Keys of a result that are columns under another name, or no columns."""
Values: TypeAlias = "dict[str, Any]"
"""By column."""


def load(what: Source, runs: Path | None = None) -> pd.DataFrame:
    """One row per task of a study, in its order, or per run in folders; accuracies stay in 0..1.

    `runs` is the folder of all studies' runs, by default that of PETL_RUNS. A run that lies in
    several folders counts once; `frame.attrs["duplicates"]` lists the others, and "grid" the
    settings that have several values in the study's matrix. Damaged files of runs
    without a result are named on stderr.
    """
    if isinstance(what, pd.DataFrame):
        raise UserError("load takes a study, its file or folders of runs, and returns a DataFrame")
    selection = _Selection(what, runs)
    columns: dict[str, list[Any]] = defaultdict(lambda: [nan] * len(selection.runs))
    for i, run in enumerate(selection.runs):
        values = _values(run)
        if values["state"] != "done" and run.run_id in run.study:
            for damage in damage_of(run.study.run(run.run_id)):
                echo(damage, err=True)
        for name, value in values.items():
            columns[name][i] = value
    frame = pd.concat([pd.DataFrame(columns), selection.settings_of(selection.runs)], axis=1)
    headlines = selection.headlines or [h for h in HEADLINES if f"test_last.{h}" in columns]
    tested = [f"{split}.{name}" for name in headlines for split in ("test_last", "test_best")]
    order = [*FIRST, *columns, *tested, *ALWAYS, *frame]
    frame = frame.reindex(columns=list(dict.fromkeys(order)))
    frame.attrs |= {"duplicates": selection.duplicates, "grid": selection.grid}
    return frame


def history(what: Source | pd.DataFrame, runs: Path | None = None) -> pd.DataFrame:
    """One row per run and epoch so far: the run's names, and the epoch's line of metrics.jsonl.

    `what` may also be rows of `load`: `history(frame[frame.method == "lora"])`.
    Runs with a damaged metrics.jsonl are left out; `frame.attrs["broken"]` lists them.
    """
    selection = _Selection(what, runs)
    read: list[_Run] = []
    lengths, broken = [], []
    columns = {"epoch": array("d")}  # a list would take four times as much memory
    for run in selection.runs:
        try:
            rows = run.study.metrics(run.run_id)
            names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
            more = {name: array("d", [row.get(name, nan) for row in rows]) for name in names}
        except (ValueError, UserError) as error:
            broken.append(f"{run.study.run(run.run_id).metrics_file}: {_one_line(error)}")
            continue
        before = len(columns["epoch"])
        for name, values in more.items():
            if name not in columns:
                columns[name] = array("d", [nan]) * before
            columns[name].extend(values)
        read.append(run)
        lengths.append(len(rows))
    who = selection.settings_of(read)[list(NAMES)]
    who = who.assign(**{name: [getattr(run, name) for run in read] for name in OF_A_RUN})
    who = who.take(np.repeat(np.arange(len(read)), lengths)).reset_index(drop=True)
    measured = pd.DataFrame({name: np.array(values) for name, values in columns.items()})
    frame = pd.concat([who, measured.astype({"epoch": int})], axis=1)
    frame.attrs["broken"] = broken
    return frame


def refuse_unfinished(frame: pd.DataFrame, study: Study, runs: Path) -> None:
    if not (frame["state"] == "done").any():
        run_it = f"petl submit {quote(str(study.path))}"
        raise UserError(f"{study.name} has no finished run in {runs}; run it with: {run_it}")


def metrics(frame: pd.DataFrame) -> list[str]:
    """The metrics that some run has, such as `test_last.accuracy`."""
    return [name for name in frame if is_metric(name) and frame[name].notna().any()]


def is_metric(column: str) -> bool:
    return column.partition(".")[0] in SPLITS


def synthetic(frame: pd.DataFrame) -> bool:
    """Whether any number is made up; whatever shows them must say so."""
    return bool(frame["synthetic"].any())


# --- which runs -----------------------------------------------------------------------------------


class _Run(NamedTuple):
    """A run to read; `settings` is the index of its settings."""

    study: Runs
    run_id: str
    settings: int
    fold: int | None
    seed: int | None


class _Selection:
    """The runs of a study or of folders. Many runs share few settings, which are kept once."""

    def __init__(self, what: Source | pd.DataFrame, runs: Path | None):
        self.settings: list[Values] = []
        self.indices: dict[Any, int] = {}
        self.duplicates: list[str] = []
        if isinstance(what, str | Path) and Path(what).suffix in (".yaml", ".yml"):
            what = load_study(what)
        self.grid = what.grid if isinstance(what, Study) else ()
        self.headlines: list[str] = []
        """Of a study's kinds of task; of folders, what their results have."""
        if isinstance(what, pd.DataFrame):
            self.runs = list(self._of_frame(what, runs or Places.choose().runs))
        elif isinstance(what, Study):
            kinds = dict.fromkeys(task.kind for task in what.tasks)
            self.headlines = [kind.headline for kind in kinds]
            self.runs = list(self._of_study(what, runs or Places.choose().runs))
        else:
            folders = [what] if isinstance(what, str | Path) else what
            self.runs = list(self._in_folders([Path(folder) for folder in folders]))

    def settings_of(self, runs: Sequence[_Run]) -> pd.DataFrame:
        """A row of settings for each of these runs."""
        table = pd.DataFrame(self.settings)
        return table.take([run.settings for run in runs]).reset_index(drop=True)

    def _of_study(self, study: Study, runs: Path) -> Iterator[_Run]:
        folder = Runs(runs / study.name)
        for task in study.tasks:
            # tasks of one combination share these very objects
            parts = (task.names, task.dataset, task.backbone, task.method, task.train, task.weights)
            # an augmented task has the generator of its own fold
            settings = self._index(tuple(map(id, (*parts, task.augment))), task.to_json)
            yield _Run(folder, task.run_id, settings, task.fold, task.seed)

    def _of_frame(self, frame: pd.DataFrame, runs: Path) -> Iterator[_Run]:
        """Of its settings, the names only."""
        if missing := {*NAMES, *OF_A_RUN} - {*frame}:
            raise UserError(f"a frame of `load` has the column {min(missing)}; this one has not")
        studies = {study: Runs(runs / study) for study in frame["study"].unique()}
        for row in frame[[*NAMES, *OF_A_RUN]].to_dict("records"):
            names = {name: row[name] for name in NAMES}
            settings = self._index(tuple(names.values()), lambda names=names: {"names": names})
            yield _Run(studies[row["study"]], *(row["run_id"], settings, row["fold"], row["seed"]))

    def _in_folders(self, folders: Sequence[Path]) -> Iterator[_Run]:
        seen: dict[tuple[str, str], Path] = {}
        for study in (study for folder in folders for study in _studies(folder)):
            for run_id in study:
                task = study.task(run_id) or {"names": {"study": study.folder.name}}
                shared = {name: part for name, part in task.items() if name not in OF_A_RUN}
                settings = self._index(to_json(shared), lambda task=shared: task)
                path, key = study.folder / run_id, (self.settings[settings]["study"], run_id)
                if key in seen:
                    self.duplicates.append(f"{path}: the same run as {seen[key]}")
                    continue
                seen[key] = path
                yield _Run(study, run_id, settings, task.get("fold"), task.get("seed"))

    def _index(self, key: Any, task: Callable[[], Values]) -> int:
        """Of the settings with this key; the task is asked only for the first."""
        if key not in self.indices:
            parts = task()
            settings = {k: part for k, part in parts.items() if k not in ("names", *OF_A_RUN)}
            names = dict.fromkeys(NAMES) | parts["names"]
            self.indices[key] = len(self.settings)
            self.settings.append({**names, **_flat(settings, lists=True)})
        return self.indices[key]


def _studies(folder: Path) -> list[Runs]:
    """The folder of a study, or the folders in a folder of studies."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    inside = [Runs(path) for path in (folder, *sorted(folder.iterdir())) if path.is_dir()]
    studies = [study for study in inside if study]
    if not studies:
        raise UserError(f"{folder}: no runs are in it or in its folders")
    return studies


# --- the values of a run --------------------------------------------------------------------------


def _values(run: _Run) -> Values:
    values = {name: getattr(run, name) for name in OF_A_RUN} | {"synthetic": False}
    try:
        result = run.study.result(run.run_id)
        if result is None:
            state = run.study.state(run.run_id)
            kind = "broken" if state.damaged else state.kind
            return {**values, "state": kind, "reason": state.reason}
        return {**values, "state": "done", "reason": "", **_measured(result, run)}
    except Exception as error:  # a broken folder is one broken row, whatever lies in it
        return {**values, "state": "broken", "reason": _one_line(error)}


def _measured(result: Summary, run: _Run) -> Values:
    if result["run_id"] != run.run_id:
        file = run.study.run(run.run_id).result_file
        raise UserError(f"{file}: the result of another run, {result['run_id']}")
    on_gpu, hours = result["environment"].get("gpu"), result["timing"]["seconds"] / 3600
    measured: Values = {"synthetic": bool(result.get("synthetic", False))}
    _flat(result["metrics"], into=measured)
    measured["gpu_hours"] = hours if on_gpu else 0.0
    return _flat({k: part for k, part in result.items() if k not in ELSEWHERE}, into=measured)


def _flat(
    tree: Mapping[str, Any], prefix: str = "", lists: bool = False, into: Values | None = None
) -> Values:
    """`{"params": {"total": 3}}` -> `params.total`; without `lists`, lists are left out."""
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

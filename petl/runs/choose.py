"""Which trained runs a name means: a run, or a study's best run or ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple

from petl.config import Task
from petl.config.kinds import metric
from petl.config.locate import study_file
from petl.config.selection import select, setting
from petl.config.study import load_study
from petl.errors import UserError, several
from petl.places import Places
from petl.runs.directory import RunDir, Runs
from petl.runs.find import find_run, read_task

Together = Literal["folds", "all"]
ADAPTER, PEFT = "adapter.json", "adapter_config.json"
"""What marks a folder of `petl export`, and one of PEFT."""


class Choice(NamedTuple):
    paths: list[Path]
    why: str
    """For people; empty if they named the run."""


@dataclass(frozen=True)
class _Candidate:
    path: Path
    task: Task
    metric: str
    score: float
    """NaN for a generator that was measured on too few clips."""
    part: str

    @property
    def rank(self) -> float:
        return -math.inf if math.isnan(self.score) else metric(self.metric).rank(self.score)

    def __str__(self) -> str:
        return f"{self.task} ({self.with_metric(self.score)})"

    def with_metric(self, value: float) -> str:
        shown = metric(self.metric)
        measured = "not measured" if math.isnan(value) else shown.text(value)
        return f"{self.part} {shown.title} {measured}"


def choose(
    name: str,
    places: Places,
    only: Sequence[str] = (),
    together: Together | None = None,
    generators: bool = False,
) -> Choice:
    """A run by its folder or id, or one or several of a study's runs that kept their weights.

    Of a study, those of generators or those of models that answer.
    """
    if _is_run(Path(name)) or _is_run(places.runs / name):
        return _alone(Path(name), only, together)
    study = _study(name, places)
    if study is None:
        return _alone(find_run(name, places.runs).path, only, together)
    where, candidates = _wanted(study, only, generators)
    if len(datasets := {one.task.names.dataset for one in candidates}) > 1:
        raise UserError(
            f"{where}: its runs are trained on {len(datasets)} datasets; choose one: --only "
            f"dataset={' or dataset='.join(sorted(datasets))}"
        )
    if together is None:
        best = max(candidates, key=lambda one: one.rank)
        more = f", the best of {len(candidates)} runs" if candidates[1:] else ""
        return Choice([best.path], f"run {best.path.name}: {best}{more}")
    cells: dict[tuple[str, ...], list[_Candidate]] = {}
    for one in candidates:
        names = one.task.names
        key = (names.backbone, names.method) if together == "folds" else ()
        cells.setdefault(key, []).append(one)
    members = max(cells.values(), key=lambda cell: fmean(one.rank for one in cell))
    mean = f"mean {members[0].with_metric(fmean(one.score for one in members))}"
    if together == "all":
        return Choice([one.path for one in members], f"all {several(len(members), 'run')}: {mean}")
    more = f", the best of {len(cells)} methods" if len(cells) > 1 else ""
    why = f"{several(len(members), 'run')} of {members[0].task.names.method}: {mean}{more}"
    return Choice([one.path for one in members], why)


def choose_each(name: str, places: Places, only: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The runs of each dataset, backbone and method of a study, by their names."""
    study = _study(name, places)
    if study is None:
        raise UserError(f"{name} is no study, and --ensemble each takes one")
    cells: dict[str, list[Path]] = {}
    for one in _wanted(study, only, generators=False)[1]:
        names = one.task.names
        key = " \u00b7 ".join((names.dataset, names.backbone, names.method))
        cells.setdefault(key, []).append(one.path)
    return cells


def _wanted(
    study: tuple[str, list[RunDir]], only: Sequence[str], generators: bool
) -> tuple[str, list[_Candidate]]:
    where, runs = study
    tasks = [task for run in runs if bool((task := read_task(run)).generator) == generators]
    if not tasks:
        if generators:
            raise UserError(f"{where}: none of its runs is a generator")
        raise UserError(
            f"{where}: its runs are generators, which have no answers; `petl generate {where} "
            "FOLDER` makes clips with the best one"
        )
    wanted = {task.run_id for task in select(tasks, only, setting, where)}
    return where, _candidates([run for run in runs if run.path.name in wanted], where)


def _is_run(folder: Path) -> bool:
    try:
        exported = any((folder / name).is_file() for name in (ADAPTER, PEFT))
        return exported or RunDir(folder).read("task.json") is not None
    except OSError:  # a name that is too long, a folder of somebody else
        return False


def _alone(path: Path, only: Sequence[str], together: Together | None) -> Choice:
    if only or together:
        raise UserError(f"{path} is one run; --only and --ensemble choose among a study's runs")
    return Choice([path], "")


def _study(name: str, places: Places) -> tuple[str, list[RunDir]] | None:
    """The study's runs that have a folder, in its order; None if the name means no study."""
    file = study_file(name)
    if file is not None:
        study = load_study(file)
        runs = Runs(places.runs / study.name)
        known = dict.fromkeys(task.run_id for task in study.tasks)
        found = [runs.run(run_id) for run_id in known if run_id in runs]
        if not found:
            raise UserError(
                f"{file}: none of its runs is in {runs.folder}; `petl submit {file}` trains them"
            )
        return str(file), found
    for folder in (Path(name), places.runs / name):
        if folder.is_dir() and (runs := Runs(folder)):
            return str(folder), [runs.run(run_id) for run_id in runs]
    return None


def _candidates(runs: Sequence[RunDir], where: str) -> list[_Candidate]:
    done = [run for run in runs if run.result() is not None]
    chosen_by = {read_task(run).best_by for run in done}
    by = chosen_by.pop() if len(chosen_by) == 1 else None
    kept = [one for run in done if (one := _candidate(run, by)) is not None]
    if kept:
        return kept
    if done:
        raise UserError(
            f"{where}: {len(done)} of its runs are finished, and none has kept its weights; "
            f"`petl submit STUDY --retrain {done[0].path.name}` trains one again and keeps them"
        )
    raise UserError(f"{where}: none of its runs is finished; see `petl status`")


def _candidate(run: RunDir, by: str | None) -> _Candidate | None:
    """None without weights. The score is that of the kept weights on the validation set.

    It is by the metric that chose the best epoch of all these runs, or by the headline.
    """
    result = run.result()
    if result is None or not (run.weights_file.is_file() or run.read(run.weights_file.name)):
        return None
    task = read_task(run)
    name = by or task.kind.headline
    scores = result["metrics"]["val_best"]
    if task.weights.startswith("last"):
        last = (run.metrics() or [{}])[-1]
        scores = {name: last[f"val_{name}"]} if f"val_{name}" in last else scores
    if name in scores:
        return _Candidate(run.path, task, name, scores[name], "validation")
    score = result["metrics"]["test_last"].get(name, math.nan)
    return _Candidate(run.path, task, name, score, "test")

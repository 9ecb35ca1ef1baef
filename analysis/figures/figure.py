"""Figures of a study's runs: `draw("folds", "table1")` is a matplotlib Figure.

Each is a function `(frame, measure, width) -> Figure` over the rows of `analysis.load`; FIGURES has
them by name. A figure that a study has no data for raises a UserError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.collect import load, refuse_unfinished
from analysis.figures import (
    classes,
    convergence,
    grid,
    parameters,
    predictions,
    runs,
    samples,
    shares,
    sweeps,
)
from analysis.measure import Measure, choose
from petl.config.selection import some_tasks
from petl.config.study import Study, load_study
from petl.errors import UserError, nearest
from petl.picture import KINDS, WIDTHS, save
from petl.places import Places
from petl.runs.damage import damage_of
from petl.runs.directory import RunDir, Runs
from petl.terminal import echo

Draw = Callable[[pd.DataFrame, Measure, "float | None"], Figure]
More = Callable[[pd.DataFrame, Path], pd.DataFrame]


def with_confusions(frame: pd.DataFrame, folder: Path, split: str = "test_last") -> pd.DataFrame:
    """`classes`, `confusion` and `precisions` of each finished run, None where it has none.

    The average precision of each class stands in for the matrix where clips have several labels.
    """
    columns: dict[str, list[Any]] = {"classes": [], "confusion": [], "precisions": []}
    for run in frame[["study", "run_id", "state"]].itertuples():
        done = run.state == "done"
        result = RunDir(folder / run.study / run.run_id).result() if done else None
        matrix = ((result and result.get("confusion")) or {}).get(split)
        of_classes = ((result and result.get("per_class")) or {}).get(split)
        known = result and (matrix or of_classes)
        columns["classes"].append(result["classes"] if result and known else None)
        columns["confusion"].append(matrix or None)
        columns["precisions"].append(of_classes["average_precision"] if of_classes else None)
    return frame.assign(**{k: pd.Series(v, frame.index, object) for k, v in columns.items()})


def with_epochs(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """`epochs`: each run's lines of metrics.jsonl so far. Damaged ones are named on stderr."""
    views = {study: Runs(folder / study) for study in frame["study"].unique()}
    who = frame[["study", "run_id"]].itertuples(index=False)
    runs = [views[study].run(run_id) for study, run_id in who]
    for run, state in zip(runs, frame["state"], strict=True):
        for damage in damage_of(run) if state == "done" else ():  # `load` has named the others
            if damage.file == run.metrics_file:
                echo(damage, err=True)
    epochs = [run.metrics() for run in runs]
    return frame.assign(epochs=pd.Series(epochs, frame.index, object))


def some_runs(study: Study, folder: Path, **chosen: str | int | None) -> pd.DataFrame:
    """The rows of the tasks that match: `dataset="esc*"`, `fold=0`."""
    tasks = some_tasks(study.tasks, study.path, **chosen)
    return load(replace(study, tasks=list(tasks)), folder)


@dataclass(frozen=True)
class Kind:
    """`more` adds columns that `load` does not read."""

    draw: Draw
    about: str
    more: More | None = None


FIGURES = {
    "parameters": Kind(parameters.parameters, "accuracy against trainable parameters"),
    "scaling": Kind(sweeps.scaling, "accuracy against parameters, by size of a method"),
    "kernel": Kind(sweeps.kernel, "accuracy against the kernel size"),
    "grid": Kind(grid.grid, "accuracy over one or two settings of the matrix"),
    "few-shot": Kind(sweeps.few_shot, "accuracy against the number of examples per class"),
    "shares": Kind(shares.shares, "accuracy against the share of synthetic clips"),
    "pretraining": Kind(sweeps.pretraining, "accuracy against the epochs of pre-training"),
    "folds": Kind(runs.folds, "every fold of every method"),
    "convergence": Kind(convergence.convergence, "loss and metric epoch by epoch", with_epochs),
    "classes": Kind(classes.classes, "every class under every method", with_confusions),
    "confusion": Kind(classes.confusion, "confusion matrix of one method", with_confusions),
    "predictions": Kind(
        predictions.predictions,
        "a regression's answers against the truth, residuals and calibration",
        predictions.with_predictions,
    ),
    "samples": Kind(samples.samples, "samples of generators", samples.with_samples),
    "cost": Kind(runs.cost, "hours that each method took"),
}


def draw(
    name: str,
    study: Study | str | Path,
    runs: Path | None = None,
    *,
    metric: str | None = None,
    width: str | None = None,
    over: Sequence[str] = (),
    **chosen: str | None,
) -> Figure:
    """`width` is single, double or what fits; `over`: settings for `grid`, by default the matrix's;
    `chosen` are names or patterns: `method="lora*"`."""
    if name not in FIGURES:
        raise UserError(
            f"no figure '{name}'{nearest(name, FIGURES)}; there are {', '.join(FIGURES)}"
        )
    if over and name != "grid":
        raise UserError(f"--over chooses the settings of the figure 'grid', not of '{name}'")
    kind, folder = FIGURES[name], runs or Places.choose().runs
    study = study if isinstance(study, Study) else load_study(study)
    frame = some_runs(study, folder, **chosen)
    wanted = metric or study.report
    if kind.more is not with_epochs:  # which draws running runs too
        refuse_unfinished(frame, study, folder)
    frame.attrs["over"] = tuple(over)
    measure = choose(frame, wanted) if (frame["state"] == "done").any() else Measure.of(wanted)
    if kind.more is with_confusions:
        frame = with_confusions(frame, folder, measure.column.partition(".")[0])
    elif kind.more:
        frame = kind.more(frame, folder)
    return kind.draw(frame, measure, WIDTHS[width] if width else None)


def write(figure: Figure, name: str, out: Path) -> list[Path]:
    """NAME.png and NAME.pdf in the folder `out`."""
    return save_as(figure, out / name)


def save_as(figure: Figure, file: Path) -> list[Path]:
    """A PNG or a PDF; both if the file's name says neither."""
    kind = file.suffix.removeprefix(".").lower()
    if kind and kind not in KINDS:
        raise UserError(f"{file}: a figure is .png or .pdf, or both without an extension")
    paths = {kind: file} if kind else {k: file.with_name(f"{file.name}.{k}") for k in KINDS}
    save(figure, paths)
    return list(paths.values())

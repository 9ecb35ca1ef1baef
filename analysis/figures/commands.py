"""Commands that show finished runs: a figure for print, a notebook as a page."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petl.errors import UserError
from petl.terminal import RunsDir, StudyFile, console, need

if TYPE_CHECKING:
    from petl.runs.result import Summary


class Width(str, Enum):
    single = "single"
    double = "double"


def figure(
    name: Annotated[str, typer.Argument(metavar="NAME", help="parameters, kernel, ...")],
    study: StudyFile,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the files go [tables/STUDY].")
    ] = None,
    width: Annotated[
        Width | None, typer.Option(help="Of one column of a paper, 3.4 in, or two, 7.16 in.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="test_best, test_last.f1, ... [as the study says].")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A name or a pattern.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    method: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    runs: RunsDir = None,
) -> None:
    """Draw a study's finished runs for print: DIR/NAME.png and DIR/NAME.pdf.

    \b
      parameters   accuracy against trainable parameters, with the Pareto front
      scaling      the same for methods that come in several sizes
      kernel       accuracy against the kernel's size
      few-shot     accuracy against the examples of each class
      folds        every fold of every method
      convergence  loss, validation metric and learning rate, with bands over folds
      classes      each class under each method
      confusion    what one method takes for what: --method, --dataset
      cost         GPU hours of each method

    Missing runs stand below the picture, and above it whether its numbers are made up. A file that
    petl did not make is never replaced.

    \b
    Example:
      petl figure parameters table1 --width double
      petl figure confusion table1 --method lora --dataset esc50
    """
    need("pandas", "analysis")
    from analysis.figures.figure import draw, write
    from petl.config.study import load_study

    loaded = load_study(study)
    picture = draw(
        name,
        loaded,
        runs,
        metric=metric,
        width=width.value if width else None,
        dataset=dataset,
        backbone=backbone,
        method=method,
    )
    files = write(picture, name, out or Path("tables") / loaded.name)
    console().print(*files, sep="\n", soft_wrap=True)


def curves(
    said: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs, or one study.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="PNG or PDF; both if it has no ending.")
    ] = Path("curves"),
    dataset: Annotated[str | None, typer.Option(help="Of a study: a name or a pattern.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    method: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    fold: Annotated[int | None, typer.Option(help="Of a study: this fold alone.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of a study: this seed alone.")] = None,
    runs: RunsDir = None,
) -> None:
    """Draw how runs converged: loss, validation metric and learning rate, epoch by epoch.

    Runs that differ in fold and seed alone are thin lines under their mean, with a band of one
    standard deviation. Runs under way are drawn as far as they are. A file that petl did not make
    is never replaced.

    \b
    Example:
      petl curves 3f9c 81ab --out folds.pdf
      petl curves quickstart --method 'lora*'
    """
    need("matplotlib", "analysis")
    from analysis.figures.curves import Converged, write_curves
    from petl.config.selection import some_tasks
    from petl.config.study import load_study
    from petl.places import Places
    from petl.runs.directory import Runs
    from petl.runs.find import find_run, read_task

    folder = Places.choose(runs).runs
    wanted = {"dataset": dataset, "backbone": backbone, "method": method}
    if len(said) == 1 and _is_study(said[0]):
        study = load_study(said[0])
        view = Runs(folder / study.name)
        drawn = [
            Converged(task, view.metrics(task.run_id), _synthetic(view.result(task.run_id)))
            for task in some_tasks(study.tasks, study.path, **wanted, fold=fold, seed=seed)
        ]
    elif any(value is not None for value in (*wanted.values(), fold, seed)):
        raise UserError("--dataset, --method, --fold and so on choose from a study, not from runs")
    else:
        drawn = [
            Converged(read_task(run), run.metrics(), _synthetic(run.result()))
            for run in (find_run(one, folder) for one in said)
        ]
    console().print(*write_curves(drawn, out), sep="\n", soft_wrap=True)
    if missing := sum(not run.rows for run in drawn):
        console().print(f"{missing} of {len(drawn)} runs have finished no epoch yet")


def _synthetic(result: Summary | None) -> bool:
    return bool(result and result.get("synthetic"))


def _is_study(said: str) -> bool:
    from petl.config.study import EXPERIMENTS

    return said.endswith((".yaml", ".yml")) or (EXPERIMENTS / f"{said}.yaml").is_file()

"""Commands that draw runs: figures for print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from petl.errors import UserError
from petl.terminal import RunsDir, StudyFile, console, need

Dataset = Annotated[str | None, typer.Option(help="Draw these datasets: a name or a pattern.")]
Backbone = Annotated[str | None, typer.Option(help="Draw these backbones.")]
Method = Annotated[str | None, typer.Option(help="Draw these methods.")]


def figure(
    name: Annotated[str, typer.Argument(metavar="NAME", help="parameters, kernel, ...")],
    study: StudyFile,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files [tables/STUDY].")
    ] = None,
    width: Annotated[
        Literal["single", "double"] | None,
        typer.Option(help="One column of a paper, 3.4 in, or two, 7.16 in [what fits]."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="test_best, test_last.f1, ... [as the study says].")
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTING", help="For grid: train.lr, ...; once or twice [the matrix's]."
        ),
    ] = None,
    dataset: Dataset = None,
    backbone: Backbone = None,
    method: Method = None,
    runs: RunsDir = None,
) -> None:
    """Draw a study's finished runs for print: DIR/NAME.png and DIR/NAME.pdf.

    \b
      parameters   accuracy against trainable parameters, with the Pareto front
      scaling      the same for methods that come in several sizes
      kernel       accuracy against the kernel size
      grid         accuracy over one or two settings of the matrix: lines or a heat map
      few-shot     accuracy against the number of examples per class
      shares       accuracy against the share of synthetic clips, and paired differences
      pretraining  accuracy against the epochs of a checkpoint's pre-training
      folds        every fold of every method
      convergence  loss, validation metric and learning rate, epoch by epoch
      classes      recall of each class, or average precision, under each method
      confusion    the confusion matrix of one method: --method, --dataset
      predictions  a regression's answers: against the truth, residuals, calibration
      samples      what generators make, below real clips
      cost         hours that each method took, on a GPU or a CPU

    The figure says below which runs are missing, and above whether its numbers are made up. Files
    that petl did not make are never replaced.

    \b
    Example:
      petl figure parameters table1 --width double
      petl figure confusion table1 --method lora --dataset esc50
    """
    need("pandas", "analysis")
    from analysis.figures.figure import draw, write
    from petl.config.study import load_study

    loaded = load_study(study)
    chosen = {"dataset": dataset, "backbone": backbone, "method": method}
    picture = draw(name, loaded, runs, metric=metric, width=width, over=over or (), **chosen)
    files = write(picture, name, out or Path("tables") / loaded.name)
    console().print(*files, sep="\n", soft_wrap=True)


def curves(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs, or one study.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="PNG or PDF; both if it has no extension.")
    ] = Path("curves"),
    dataset: Dataset = None,
    backbone: Backbone = None,
    method: Method = None,
    fold: Annotated[int | None, typer.Option(help="Draw this fold only.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draw this seed only.")] = None,
    runs: RunsDir = None,
) -> None:
    """Draw how runs converge: `petl figure convergence` for single runs or part of a study.

    Runs that differ only in fold and seed are thin lines under their mean, with a band of one
    standard deviation. Running runs are drawn up to their last epoch. Files that petl did not make
    are never replaced.

    \b
    Example:
      petl curves 3f9c 81ab --out folds.pdf
      petl curves quickstart --method 'lora*'
    """
    need("pandas", "analysis")
    from analysis.figures.convergence import convergence, of_runs
    from analysis.figures.figure import save_as, some_runs, with_epochs
    from petl.config.locate import study_file
    from petl.config.study import load_study
    from petl.places import Places
    from petl.runs.find import find_run

    folder = Places.choose(runs).runs
    chosen: dict[str, str | int | None]
    chosen = {"dataset": dataset, "backbone": backbone, "method": method}
    chosen |= {"fold": fold, "seed": seed}
    first = names[0]
    is_study = first.endswith((".yaml", ".yml")) or study_file(first) is not None
    if len(names) == 1 and is_study:
        frame = with_epochs(some_runs(load_study(first), folder, **chosen), folder)
    elif any(value is not None for value in chosen.values()):
        raise UserError(
            "--dataset, --backbone, --method, --fold and --seed choose runs of one study; "
            "name a study, or leave them out"
        )
    else:
        frame = of_runs(find_run(name, folder) for name in names)
    console().print(*save_as(convergence(frame), out), sep="\n", soft_wrap=True)
    if missing := sum(not epochs for epochs in frame["epochs"]):
        console().print(f"{missing} of {len(frame)} runs have finished no epoch yet")

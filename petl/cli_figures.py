"""Commands that show finished runs: a figure for print, a notebook as a page."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from petl.terminal import RunsDir, StudyFile, console, need


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
    from analysis.figures import draw, write
    from petl.study import load_study

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


def notebook(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="table1, ablations, compare_with_paper or cost.")
    ],
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="STUDY", help="Instead of the notebook's own; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page [tables/NAME.html].")
    ] = None,
    runs: RunsDir = None,
) -> None:
    """Execute a notebook of analysis/ on your runs: one HTML file that needs no network.

    \b
    Example:
      petl notebook table1
      petl notebook compare_with_paper --study table1 --out reproduced.html
    """
    need("pandas", "analysis")
    need("nbclient", "notebooks")
    need("nbconvert", "notebooks")
    from analysis.notebook import to_page
    from petl.places import Places
    from petl.study import load_study

    page = out or Path("tables") / f"{name}.html"
    studies = [str(load_study(one).path.resolve()) for one in study or ()]
    with console().status(name) as status:

        def tell(cell: int, cells: int) -> None:
            status.update(f"{name}: cell {cell} of {cells}")

        to_page(name, page, Places.choose(runs).runs, studies, tell)
    console().print(page, soft_wrap=True)

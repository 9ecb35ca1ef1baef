"""Commands about results: what a study's finished runs come to."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from petl.terminal import RunsDir, StudyFile, echo, need


class Format(str, Enum):
    text = "text"
    latex = "latex"
    markdown = "markdown"
    csv = "csv"
    html = "html"


class Spread(str, Enum):
    population_std = "population-std"
    sample_std = "sample-std"
    ci95 = "ci95"


class Colors(str, Enum):
    paper = "paper"
    safe = "safe"
    grey = "grey"


def table(
    study: StudyFile,
    format: Annotated[
        Format | None, typer.Option(help="Print it so, and write files only with --out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the files go [tables/STUDY].")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="test_best, test_last.f1, gpu_hours, ... [as the study says]."),
    ] = None,
    spread: Annotated[
        Spread, typer.Option(help="What stands behind the plus-minus.")
    ] = Spread.population_std,
    digits: Annotated[
        int | None, typer.Option(min=0, max=6, help="Decimals [1 of per cent, else 3].")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Published figures under ours, and the difference.")
    ] = False,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Mark differences beyond it; implies --paper.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="ROW", help="Mark what differs from it significantly.")
    ] = None,
    colors: Annotated[
        Colors, typer.Option(help="Green and red, blue and orange, or none.")
    ] = Colors.paper,
    trace: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="ROW COLUMN", help="Print the runs behind one cell instead."),
    ] = None,
    runs: RunsDir = None,
) -> None:
    """Make the study's table and figure from its finished runs.

    \b
    Example:
      petl table experiments/quickstart.yaml --metric test_best
      petl table table1 --paper --tolerance 1 --reference lora --out tables/reproduced
      petl table table1 --format latex > table1.tex
      petl table table1 --trace lora GSC
    """
    need("pandas", "analysis")
    from analysis.tables.tabulate import Options, tabulate
    from petl.config.study import load_study
    from petl.places import Places

    loaded = load_study(study)
    wanted = Options(metric, digits, spread.value, paper, tolerance, reference, colors.value)
    made = tabulate(loaded, Places.choose(runs).runs, wanted)
    if trace is not None:
        echo(made.trace(*trace))
        return
    name = format.value if format else "text"
    styled = name == "text" and sys.stdout.isatty()
    show = typer.echo if styled else echo  # a styled table is escaped already
    show(made.in_format(name, styled=styled), nl=False)
    for warning in made.warnings:  # away from what is piped on
        echo(warning, err=format not in (None, Format.text))
    if format is None or out is not None:
        files, replaced = made.write(out or Path("tables") / loaded.name)
        if replaced:
            echo(f"Replaced: {', '.join(replaced)}", err=format is not None)
        for file in files:
            echo(file, err=format is not None)

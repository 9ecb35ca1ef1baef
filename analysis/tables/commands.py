"""The command that makes a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from petl.errors import UserError
from petl.terminal import RunsDir, StudyFile, echo, need

Metric = Annotated[
    str | None, typer.Option(help="test_best, test_last.f1, gpu_hours, ... [as the study says].")
]
Spread = Annotated[
    Literal["population-std", "sample-std", "ci95"],
    typer.Option(help="What to print after the plus-minus."),
]
Paper = Annotated[
    bool, typer.Option("--paper", help="Print the published numbers below ours, and differences.")
]


def table(
    study: StudyFile,
    format: Annotated[
        Literal["text", "latex", "markdown", "csv", "html", "json"] | None,
        typer.Option(help="Print this format; write files only with --out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files [tables/STUDY].")
    ] = None,
    metric: Metric = None,
    spread: Spread = "population-std",
    digits: Annotated[
        int | None, typer.Option(min=0, max=6, help="Decimals [1 for per cent, else 3].")
    ] = None,
    paper: Paper = False,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Mark larger differences; implies --paper.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="ROW", help="Mark significant differences from this row.")
    ] = None,
    colors: Annotated[
        Literal["paper", "safe", "grey"],
        typer.Option(help="Green and red, blue and orange, or none."),
    ] = "paper",
    trace: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="ROW COLUMN", help="Print the runs behind one cell instead."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The same as --format json: a list of cells.")
    ] = False,
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

    if as_json:
        if format not in (None, "json"):
            raise UserError("--json cannot be combined with another --format")
        format = "json"
    loaded = load_study(study)
    options = Options(metric, digits, spread, paper, tolerance, reference, colors)
    made = tabulate(loaded, Places.choose(runs).runs, options)
    if trace is not None:
        echo(made.trace(*trace))
        return
    styled = format in (None, "text") and sys.stdout.isatty()
    show = typer.echo if styled else echo  # a styled table is escaped already
    show(made.in_format(format or "text", styled=styled), nl=False)
    for warning in made.warnings:  # stdout may be piped to a file
        echo(warning, err=format not in (None, "text"))
    if format is None or out is not None:
        files, replaced = made.write(out or Path("tables") / loaded.name)
        if replaced:
            echo(f"Replaced: {', '.join(replaced)}", err=format is not None)
        for file in files:
            echo(file, err=format is not None)

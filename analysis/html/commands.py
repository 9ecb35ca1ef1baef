"""The command that makes a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.tables.commands import Spread
from petl.terminal import RunsDir, StudyFile, console, need


def report(
    study: StudyFile,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page [tables/STUDY/report.html].")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="test_best, test_last.f1, gpu_hours, ... [as the study says]."),
    ] = None,
    spread: Annotated[
        Spread, typer.Option(help="What stands behind the plus-minus.")
    ] = Spread.population_std,
    paper: Annotated[
        bool, typer.Option("--paper", help="Published figures under ours, and the difference.")
    ] = False,
    runs: RunsDir = None,
) -> None:
    """Make one page of a study: tables, figures, what is missing, costs, where each number is from.

    The page is one file that needs no network. A number in it opens the runs it is made of.

    \b
    Example:
      petl report experiments/quickstart.yaml
      petl report table1 --paper --out table1.html
    """
    need("pandas", "analysis")
    from analysis.html.page import page
    from analysis.html.report import Report, write
    from analysis.tables.tabulate import Options
    from petl.config.study import load_study
    from petl.places import Places

    loaded = load_study(study)
    out = out or Path("tables") / loaded.name / "report.html"
    wanted = Options(metric, spread=spread.value, published=paper)
    screen = console()
    with screen.status("reading the runs"):
        made = Report.of(loaded, Places.choose(runs).runs, wanted)
    with screen.status("drawing"):
        content = page(made)
    replaced = write(content, out)
    screen.print(f"Replaced: {out}" if replaced else str(out), soft_wrap=True)

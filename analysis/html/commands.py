"""The command that makes a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.tables.commands import Metric, Paper, Spread
from petl.terminal import RunsDir, StudyFile, console, need


def report(
    study: StudyFile,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page [tables/STUDY/report.html].")
    ] = None,
    metric: Metric = None,
    spread: Spread = "population-std",
    paper: Paper = False,
    runs: RunsDir = None,
) -> None:
    """Make one HTML page of a study: tables, figures, missing runs, costs, environments, settings.

    The page is one file that needs no network. Click a number in it to see its runs.

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
    screen = console()
    with screen.status("reading the runs"):
        options = Options(metric, spread=spread, published=paper)
        made = Report.of(loaded, Places.choose(runs).runs, options)
    with screen.status("drawing"):
        content = page(made)
    replaced = write(content, out)
    screen.print(f"Replaced: {out}" if replaced else str(out), soft_wrap=True)

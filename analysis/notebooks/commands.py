"""The command that executes a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from petl.terminal import RunsDir, console, need


def notebook(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="table1, ablations, compare_with_paper or cost.")
    ],
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="STUDY", help="Use this study instead; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page [tables/NAME.html].")
    ] = None,
    runs: RunsDir = None,
) -> None:
    """Execute a notebook on your runs and write it as one HTML page that needs no network.

    \b
    Example:
      petl notebook table1
      petl notebook compare_with_paper --study table1 --out reproduced.html
    """
    need("pandas", "analysis")
    need("nbclient", "notebooks")
    need("nbconvert", "notebooks")
    from analysis.notebooks.notebook import to_page
    from petl.config.study import load_study
    from petl.places import Places

    page = out or Path("tables") / f"{name}.html"
    studies = [str(load_study(one).path.resolve()) for one in study or ()]
    with console().status(name) as status:

        def tell(cell: int, cells: int) -> None:
            status.update(f"{name}: cell {cell} of {cells}")

        to_page(name, page, Places.choose(runs).runs, studies, tell)
    console().print(page, soft_wrap=True)

"""A report's figures. One that cannot be drawn of these runs says why, and the page goes on."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO, StringIO

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from analysis import curves
from analysis.figures import parameters
from analysis.html.element import Html, el
from analysis.html.report import Report
from analysis.style import STYLE, missing
from petl.errors import UserError
from petl.runs import Runs

LARGE = 200_000
"""A drawing of more bytes is smaller as a picture of dots."""
OUTLINE, DECIMALS = re.compile(r'(?<= d=")[^"]*'), re.compile(r"(\.\d\d)\d+")
MOST_LINES = 14
"""Methods in one convergence plot: so many have a marker of their own."""
MOST_PANELS = 6


@dataclass(frozen=True)
class Picture:
    title: str
    caption: str
    draw: Callable[[], Figure]


def figures(report: Report) -> Html:
    if not report.tables:
        return el("p", "No run has finished yet.")
    return el("div", *map(_shown, pictures(report)), class_="figures")


def pictures(report: Report) -> Iterator[Picture]:
    main = report.tables[0].table
    yield Picture(
        "Parameters and accuracy",
        "Mean and standard deviation over folds; small dots are the folds, a hollow marker has "
        "runs missing.",
        lambda: parameters.draw(main, None, missing(report.frame)),
    )
    for dataset in main.datasets[:MOST_PANELS]:
        yield Picture(
            f"Convergence on {dataset.label}",
            "Thin lines are runs, thick ones their mean, with a band of one standard deviation.",
            lambda name=dataset.name: _convergence(report, name),
        )


def _convergence(report: Report, dataset: str) -> Figure:
    done = report.done[report.done["dataset"] == dataset]
    if (methods := done.groupby(["backbone", "method"]).ngroups) > MOST_LINES:
        raise UserError(f"{methods} methods are too many for one plot: petl curves --method")
    view = Runs(report.runs / report.study.name)
    made_up = dict(zip(done["run_id"], done["synthetic"], strict=True))
    tasks = [task for task in report.study.tasks if task.run_id in made_up]
    return curves.draw(
        [
            curves.Converged(task, view.metrics(task.run_id), bool(made_up[task.run_id]))
            for task in tasks
        ]
    )


def _shown(picture: Picture) -> Html:
    try:
        image = el("img", src=_source(picture.draw()), alt=f"{picture.title}. {picture.caption}")
    except UserError as error:
        image = el("p", f"Not drawn: {error}.", class_="note")
    caption = el("figcaption", el("b", picture.title), " ", picture.caption)
    return el("figure", image, caption)


def _source(drawn: Figure) -> str:
    """As an image: what is in it can neither run nor clash with the page or with another."""
    content, mime = _svg(drawn), "svg+xml"
    if len(content) > LARGE:
        content, mime = _png(drawn), "png"
    return f"data:image/{mime};base64,{b64encode(content).decode()}"


def _svg(drawn: Figure) -> bytes:
    """The same picture gives the same bytes. A hundredth of a point is fine enough for a line."""
    for text in drawn.findobj(Text):
        text.set_path_effects([])  # or each letter of it would be an outline of its own
    buffer = StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": "petl-ast"}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None})
    shorter = OUTLINE.sub(lambda line: DECIMALS.sub(r"\1", line[0]), buffer.getvalue())
    return shorter.encode()


def _png(drawn: Figure) -> bytes:
    """In the few colours that a drawing has."""
    buffer, smaller = BytesIO(), BytesIO()
    with mpl.rc_context(STYLE):
        drawn.savefig(buffer, format="png", dpi=200)
    Image.open(buffer).convert("RGB").quantize(128).save(smaller, "png", optimize=True)
    return smaller.getvalue()

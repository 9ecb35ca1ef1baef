"""A report's figures. One that this study has no data for says what it wants, and is left out."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from analysis.cells import Table
from analysis.figures.figure import FIGURES, with_confusions, with_epochs
from analysis.html.element import Html, el, join, scrolling
from analysis.html.report import Report
from petl.errors import UserError
from petl.picture import STYLE

ORDER = ("parameters", "scaling", "kernel", "few-shot", "folds", "convergence", "classes", "cost")
LARGE = 200_000
"""A drawing of more bytes is smaller as a picture of dots."""
MOST_CELLS, MOST_CURVES = 150, 1000
"""Of more methods on datasets, or of more runs epoch by epoch, no picture is readable."""
PER_INCH = 105
"""Pixels, where there is room: print is smaller than a page."""
MOST_CONFUSIONS = 4
OUTLINE, DECIMALS = re.compile(r'(?<= d=")[^"]*'), re.compile(r"(\.\d\d)\d+")


class Wanted(NamedTuple):
    """`frame`: the rows it is about."""

    name: str
    title: str
    frame: pd.DataFrame


def figures(report: Report) -> Html:
    if not report.tables:
        return el("p", "No run has finished yet.")
    table, shown, not_shown = report.tables[0].table, [], []
    for wanted in _wanted(report, table):
        try:
            _refuse_a_crowd(wanted, report.file)
            drawn = FIGURES[wanted.name].draw(wanted.frame, table.measure, None)
            shown.append(_shown(drawn, wanted.title))
        except UserError as error:
            not_shown.append(el("li", el("b", wanted.title), f": {error}"))
    reasons = el("summary", f"{len(not_shown)} more need other runs")
    rest = el("details", reasons, el("ul", *not_shown)) if not_shown else None
    return join([el("div", *shown, class_="figures"), rest])


def _wanted(report: Report, table: Table) -> Iterator[Wanted]:
    frame = report.frame
    moment = table.measure.column.partition(".")[0]
    confusions = with_confusions(frame, report.runs, moment)
    for name in ORDER:
        more = FIGURES[name].more
        rows = confusions if more is with_confusions else frame
        if more is with_epochs and len(frame) <= MOST_CURVES:
            rows = with_epochs(frame, report.runs)
        yield Wanted(name, _title(FIGURES[name].about), rows)
    for backbone, method, dataset in _best(table):
        of = (frame["backbone"] == backbone) & (frame["method"] == method)
        rows = confusions[of & (frame["dataset"] == dataset)]
        first = rows.iloc[0]
        who = f"{first['method_label']}, best on {first['dataset_label']}"
        yield Wanted("confusion", f"What {who}, takes for what", rows)


def _title(about: str) -> str:
    return about[0].upper() + about[1:]


def _best(table: Table) -> Iterator[tuple[str, str, str]]:
    for j, dataset in enumerate(table.datasets[:MOST_CONFUSIONS]):
        for row, mark in zip(table.rows, table.marks(j), strict=True):
            if mark == "best":
                yield row.backbone, row.method, dataset.name
                break


def _refuse_a_crowd(wanted: Wanted, file: str) -> None:
    cells = wanted.frame.groupby(["backbone", "method", "dataset"]).ngroups
    curves = len(wanted.frame) if wanted.name == "convergence" else 0
    if cells > MOST_CELLS or curves > MOST_CURVES:
        what = f"{cells} methods on datasets" if cells > MOST_CELLS else f"{curves} runs"
        some = f"petl figure {wanted.name} {file} --method ... draws some"
        raise UserError(f"{what} are too many for one picture; {some}")


# --- as images ------------------------------------------------------------------------------------


def _shown(drawn: Figure, title: str) -> Html:
    pixels = round(PER_INCH * drawn.get_size_inches()[0])
    image = el("img", src=_source(drawn), alt=title, width=pixels)
    return el("figure", el("figcaption", title), scrolling(image))


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

"""A report's figures. Figures that this study has no data for are listed with the reason."""

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

from analysis.cells import KEY, Table
from analysis.figures.figure import FIGURES, with_confusions, with_epochs
from analysis.figures.predictions import with_predictions
from analysis.figures.samples import with_samples
from analysis.html.report import Report
from analysis.markup import Html, details, el, join, scrolling
from petl.config.kinds import metric
from petl.errors import UserError, several
from petl.picture import STYLE

ORDER = ("parameters", "scaling", "kernel", "grid", "few-shot", "shares", "folds", "convergence")
ORDER += ("samples", "classes", "cost")
NEEDS = {"shares": "augment.real", "samples": "generator.kind"}
"""Figures of few studies, and the setting that these have."""
LARGE = 200_000
"""A larger SVG becomes a PNG, which is smaller then. In bytes."""
MOST_CELLS, MOST_CURVES = 150, 1000
"""With more cells, or more runs epoch by epoch, a picture is not readable."""
PER_INCH = 105
"""Pixels per inch of a figure, which is drawn for print, where there is room."""
MOST_CONFUSIONS = 4
OUTLINE, DECIMALS = re.compile(r'(?<= d=")[^"]*'), re.compile(r"(\.\d\d)\d+")


class Candidate(NamedTuple):
    """A figure to try; `frame` holds the runs that it draws."""

    name: str
    title: str
    frame: pd.DataFrame


def figures(report: Report) -> Html:
    if not report.tables:
        return el("p", "No run has finished yet.")
    table, shown, not_shown = report.tables[0].table, [], []
    for one in _candidates(report, table):
        try:
            _refuse_a_crowd(one, report.file)
            drawn = FIGURES[one.name].draw(one.frame, table.measure, None)
            shown.append(_shown(drawn, one.title))
        except UserError as error:
            not_shown.append(el("li", el("b", one.title), f": {error}"))
    title = f"{several(len(not_shown), 'figure')} not shown"
    rest = details(title, el("ul", *not_shown)) if not_shown else None
    return join([el("div", *shown, class_="figures"), rest])


def _candidates(report: Report, table: Table) -> Iterator[Candidate]:
    frame = report.frame
    split = table.measure.column.partition(".")[0]
    confusions = with_confusions(frame, report.runs, split)
    for name in ORDER:
        if name in NEEDS and (NEEDS[name] not in frame or frame[NEEDS[name]].isna().all()):
            continue
        more = FIGURES[name].more
        rows = confusions if more is with_confusions else frame
        if more is with_epochs and len(frame) <= MOST_CURVES:
            rows = with_epochs(frame, report.runs)
        if more is with_samples:
            rows = with_samples(frame, report.runs)
        about = FIGURES[name].about.replace("accuracy", metric(table.measure.name).title)
        title = about[0].upper() + about[1:] if about.islower() else about  # mAP stays mAP
        yield Candidate(name, title, rows)
    for backbone, method, dataset in _best(table):
        of = (frame["backbone"] == backbone) & (frame["method"] == method)
        rows = confusions[of & (frame["dataset"] == dataset)]
        first = rows.iloc[0]
        who = f"{first['method_label']}, the best on {first['dataset_label']}"
        if first["dataset.targets"]:
            kept = with_predictions(frame.loc[rows.index], report.runs)
            yield Candidate("predictions", f"Predictions of {who}", kept)
        else:
            yield Candidate("confusion", f"Confusion matrix of {who}", rows)


def _best(table: Table) -> Iterator[tuple[str, str, str]]:
    for j, dataset in enumerate(table.datasets[:MOST_CONFUSIONS]):
        for row, mark in zip(table.rows, table.marks(j), strict=True):
            if mark == "best":
                yield row.backbone, row.method, dataset.name
                break


def _refuse_a_crowd(one: Candidate, file: str) -> None:
    cells = one.frame.groupby(KEY).ngroups
    curves = len(one.frame) if one.name == "convergence" else 0
    if cells > MOST_CELLS or curves > MOST_CURVES:
        what = f"{cells} cells" if cells > MOST_CELLS else f"{curves} runs"
        some = f"draw some with: petl figure {one.name} {file} --method ..."
        raise UserError(f"{what} are too many for one picture; {some}")


# --- as images ------------------------------------------------------------------------------------


def _shown(drawn: Figure, title: str) -> Html:
    pixels = round(PER_INCH * drawn.get_size_inches()[0])
    image = el("img", src=_source(drawn), alt=title, width=pixels)
    return el("figure", el("figcaption", title), scrolling(image))


def _source(drawn: Figure) -> str:
    """An image, because inline SVG could run scripts, and share ids with other figures."""
    content, mime = _svg(drawn), "svg+xml"
    if len(content) > LARGE:
        content, mime = _png(drawn), "png"
    return f"data:image/{mime};base64,{b64encode(content).decode()}"


def _svg(drawn: Figure) -> bytes:
    """Without a date, and rounded to a hundredth of a point: the same runs give the same bytes."""
    for text in drawn.findobj(Text):
        text.set_path_effects([])  # they would turn each letter into an outline
    buffer = StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": "petl-ast"}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None})
    shorter = OUTLINE.sub(lambda line: DECIMALS.sub(r"\1", line[0]), buffer.getvalue())
    return shorter.encode()


def _png(drawn: Figure) -> bytes:
    """With 128 colours, which a drawing does not exceed visibly."""
    buffer, smaller = BytesIO(), BytesIO()
    with mpl.rc_context(STYLE):
        drawn.savefig(buffer, format="png", dpi=200)
    Image.open(buffer).convert("RGB").quantize(128).save(smaller, "png", optimize=True)
    return smaller.getvalue()

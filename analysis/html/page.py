"""The whole page, in the order in which one reads it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from analysis.html import origin, progress, results
from analysis.html.element import Html, data, el, join
from analysis.html.figures import figures
from analysis.html.provenance import document
from analysis.html.report import GENERATOR, Report
from petl import __version__

HERE = Path(__file__).parent
SECTIONS: tuple[tuple[str, str, Callable[[Report], Html]], ...] = (
    ("results", "Results", results.tables),
    ("progress", "Progress", progress.progress),
    ("figures", "Figures", figures),
    ("costs", "Costs", results.costs),
    ("environment", "Environment", origin.environments),
    ("reproduce", "Reproduce", origin.reproduce),
    ("settings", "Settings", origin.settings),
)


def page(report: Report) -> str:
    style, script = ((HERE / name).read_text() for name in ("style.css", "script.js"))
    head = el("head", *_head(report, style, script))
    sections = (
        el("section", el("h2", title), content(report), id=name)
        for name, title, content in SECTIONS
    )
    body = el(
        "body",
        el("header", *_top(report)),
        el("main", *sections),
        el("footer", *_bottom(report)),
        el("dialog", id="trace", aria_labelledby="trace-title"),
        data("provenance", document(report)),
        el("script", Html(script)),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _head(report: Report, style: str, script: str) -> Iterator[Html]:
    """Nothing may be fetched, and nothing but the script that comes along may run."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    yield el("meta", charset="utf-8")
    yield el("meta", http_equiv="Content-Security-Policy", content=policy)
    yield el("meta", name="viewport", content="width=device-width, initial-scale=1")
    yield el("meta", name="generator", content=f"{GENERATOR} {__version__}")
    yield el("meta", name="color-scheme", content="light dark")
    yield el("link", rel="icon", href="data:,")
    yield el("title", f"{report.study.name}: {report.study.description}")
    yield el("style", Html(style))


def _top(report: Report) -> Iterator[Html]:
    frame = report.frame
    folds, seeds = frame["fold"].nunique(), frame["seed"].nunique()
    counted = [
        f"{len(report.done)} of {len(frame)} runs done",
        f"{_several(frame['method'].nunique(), 'method')}",
        f"{_several(frame['dataset'].nunique(), 'dataset')}",
        f"{'up to ' if _uneven(report) else ''}{_several(folds, 'fold')}",
        _several(seeds, "seed"),
    ]
    yield el("p", report.study.name, class_="study")
    yield el("h1", report.study.description)
    yield el("p", " · ".join(counted), el("br"), _as_of(report), class_="facts-line")
    links = (el("a", title, href=f"#{name}") for name, title, _ in SECTIONS)
    yield el("nav", *links, aria_label="Sections")
    if report.synthetic:
        made_up = "SYNTHETIC: numbers on this page are made up, nothing was trained"
        yield el("p", made_up, class_="synthetic")
    if report.warnings:
        lines = (el("li", line) for line in report.warnings)
        yield el("ul", *lines, class_="warnings")


def _uneven(report: Report) -> bool:
    return report.frame.groupby("dataset")["fold"].nunique().nunique() > 1


def _as_of(report: Report) -> Html:
    when = report.made
    shown = el("time", f"{when:%d %B %Y, %H:%M} UTC", datetime=when.isoformat(timespec="seconds"))
    return join(["as of ", shown])


def _several(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _bottom(report: Report) -> Iterator[Html]:
    name = f"{report.study.name}.provenance.json"
    yield el("button", "Download all runs as JSON", id="download", type="button", data_name=name)
    yield el("p", f"Made by petl-ast {__version__}. This file needs no other and no network.")

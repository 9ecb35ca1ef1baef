"""The whole page, section by section."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from analysis.html import figures, origin, progress, results
from analysis.html.provenance import provenance
from analysis.html.report import GENERATOR, Report
from analysis.markup import Html, document, el, join, json_script
from petl import __version__
from petl.errors import several

HERE = Path(__file__).parent
SECTIONS: tuple[tuple[str, str, Callable[[Report], Html]], ...] = (
    ("results", "Results", results.tables),
    ("progress", "Progress", progress.progress),
    ("figures", "Figures", figures.figures),
    ("costs", "Costs", results.costs),
    ("environment", "Environment", origin.environments),
    ("reproduce", "Reproduce", origin.reproduce),
    ("settings", "Settings", origin.settings),
)


def page(report: Report) -> str:
    style, script = ((HERE / name).read_text() for name in ("style.css", "script.js"))
    sections = (
        el("section", el("h2", title), content(report), id=name)
        for name, title, content in SECTIONS
    )
    return document(
        f"{report.study.name}: {report.study.description}",
        style,
        el("header", *_top(report)),
        el("main", *sections),
        el("footer", *_bottom(report)),
        el("dialog", id="trace", aria_labelledby="trace-title"),
        json_script("provenance", provenance(report)),
        el("script", Html(script)),
        generator=f"{GENERATOR} {__version__}",
        head=_head(script),
    )


def _head(script: str) -> Iterator[Html]:
    """The policy forbids to fetch anything, and to run any other script."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    yield el("meta", http_equiv="Content-Security-Policy", content=policy)
    yield el("meta", name="color-scheme", content="light dark")
    yield el("link", rel="icon", href="data:,")


def _top(report: Report) -> Iterator[Html]:
    frame, made = report.frame, report.made
    uneven = frame.groupby("dataset")["fold"].nunique().nunique() > 1
    counts = [
        f"{len(report.done)} of {several(len(frame), 'run')} done",
        several(frame["method"].nunique(), "method"),
        several(frame["dataset"].nunique(), "dataset"),
        "up to " * uneven + several(frame["fold"].nunique(), "fold"),
        several(frame["seed"].nunique(), "seed"),
    ]
    time = el("time", f"{made:%d %B %Y, %H:%M} UTC", datetime=made.isoformat(timespec="seconds"))
    yield el("p", report.study.name, class_="study")
    yield el("h1", report.study.description)
    yield el("p", " · ".join(counts), el("br"), join(["as of ", time]), class_="facts-line")
    links = (el("a", title, href=f"#{name}") for name, title, _ in SECTIONS)
    yield el("nav", *links, aria_label="Sections")
    if report.synthetic:
        made_up = "SYNTHETIC: numbers on this page are made up, nothing was trained"
        yield el("p", made_up, class_="synthetic")
    if report.warnings:
        yield el("ul", *(el("li", line) for line in report.warnings), class_="warnings")


def _bottom(report: Report) -> Iterator[Html]:
    name = f"{report.study.name}.provenance.json"
    yield el("button", "Download all runs as JSON", id="download", type="button", data_name=name)
    yield el("p", f"Made by petl-ast {__version__}. This file needs no other and no network.")

"""Where the numbers came from, how to make them again, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from analysis.cells import KEY
from analysis.html.element import Html, commands, el, join, scrolling, table
from analysis.html.report import Report
from petl.errors import reason

FACTS = {
    "git_commit": "Commit",
    "petl": "petl-ast",
    "lock_hash": "Lock",
    "image": "Image",
    "python": "Python",
    "torch": "torch",
    "cuda": "CUDA",
    "gpu": "GPU",
}


def environments(report: Report) -> Html:
    """What the runs came from, each combination with its hosts; the most frequent first."""
    done = report.done
    if done.empty:
        return el("p", "No run has finished yet.")
    known = [name for name in FACTS if f"environment.{name}" in done]
    said = done[[f"environment.{name}" for name in known]].astype(object)
    said = said.where(said.notna(), "")
    cards = []
    kinds = said.groupby(list(said), sort=False).indices.values()
    for numbers in sorted(kinds, key=len, reverse=True):
        runs = done.iloc[numbers]
        first = said.iloc[numbers[0]]
        facts = [(FACTS[name], first[f"environment.{name}"]) for name in known]
        facts.append(_hosts(runs))
        cards.append(_card(f"{len(runs)} of {len(done)} finished runs", facts))
    return el("div", *cards, class_="cards")


def _hosts(runs: pd.DataFrame) -> tuple[str, str]:
    if "environment.host" not in runs:
        return "Host", ""
    hosts = sorted(map(str, runs["environment.host"].dropna().unique()))
    more = f" and {len(hosts) - 8} more" if len(hosts) > 8 else ""
    return ("Host" if len(hosts) == 1 else f"{len(hosts)} hosts"), ", ".join(hosts[:8]) + more


def _card(title: str, facts: Sequence[tuple[str, Any]]) -> Html:
    rows = (join([el("dt", name), el("dd", value or "not recorded")]) for name, value in facts)
    return el("section", el("h3", title), el("dl", *rows, class_="facts"), class_="card")


def reproduce(report: Report) -> Html:
    if report.synthetic:
        made_up = "The numbers are made up: petl fabricate wrote them, and nothing was trained."
        return el("p", made_up)
    commits = report.done["environment.git_commit"].dropna().unique()
    lines = []
    if len(commits) == 1 and not str(commits[0]).endswith("-dirty"):
        lines.append(f"git checkout {commits[0]}")
    lines += ["make setup", ". .venv/bin/activate"]
    lines += [f"petl {command} {report.file}" for command in ("submit", "table", "report")]
    known = lines[0] != "make setup"
    where = el("p", "In a checkout of petl-ast:" if known else _no_commit(commits))
    return join([where, commands(lines)])


def _no_commit(commits: Sequence[Any]) -> str:
    why = "several commits" if len(commits) > 1 else "code that no commit holds"
    return (
        f"The runs come from {why if len(commits) else 'code of an unknown commit'}. With today's:"
    )


SETTING = ("dataset.", "backbone.", "method.", "train.")


def settings(report: Report) -> Html:
    """The study's own lines, and what they and the presets came to."""
    frame = report.frame.drop_duplicates(KEY)
    names = [name for name in frame if name.startswith(SETTING) and frame[name].notna().any()]
    texts = frame[names].astype(object).map(_setting)
    differ = [name for name in names if texts[name].nunique() > 1]
    shared = [(name, texts[name].iloc[0]) for name in names if name not in differ]
    parts = [
        el("details", el("summary", "The study's file"), commands([_source(report)])),
        el("details", el("summary", f"{len(shared)} settings that all runs share"), _pairs(shared)),
    ]
    if differ:
        who = frame["dataset_label"] + " · " + frame["method_label"] + " · " + frame["backbone"]
        rows = ([name, *texts.loc[i, differ]] for i, name in who.items())
        summary = el("summary", f"{len(differ)} settings that differ")
        grid = table(("", *differ), rows, class_="settings")
        parts.append(el("details", summary, grid, class_="wide"))  # no paper is
    return join(parts)


def _pairs(pairs: Sequence[tuple[str, str]]) -> Html:
    rows: Iterator[Html] = (join([el("dt", name), el("dd", value)]) for name, value in pairs)
    return scrolling(el("dl", *rows, class_="facts"))


def _setting(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def _source(report: Report) -> str:
    try:
        return report.study.path.read_text(errors="replace").rstrip()
    except OSError as error:
        return f"{report.study.path.name}: {reason(error)}"

"""Where the numbers come from, how to reproduce them, and the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.cells import KEY
from analysis.html.report import Report
from analysis.markup import Html, code_block, details, el, facts, grid, join, scrolling
from petl.errors import reason, several

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
MOST_HOSTS = 8


def environments(report: Report) -> Html:
    """A card for each combination of code, packages and GPU; the most frequent first."""
    done = report.done
    if done.empty:
        return el("p", "No run has finished yet.")
    known = [name for name in FACTS if f"environment.{name}" in done]
    values = done[[f"environment.{name}" for name in known]].astype(object)
    values = values.where(values.notna(), "")
    groups = values.groupby(list(values), sort=False).indices.values()
    cards = []
    for numbers in sorted(groups, key=len, reverse=True):
        pairs = [
            (FACTS[name], value) for name, value in zip(known, values.iloc[numbers[0]], strict=True)
        ]
        if dict(pairs).get("Python") and not dict(pairs).get("GPU"):  # recorded, and there is none
            pairs = [(name, "none" if name == "GPU" else v) for name, v in pairs if name != "CUDA"]
        pairs.append(_hosts(done.iloc[numbers]))
        title = el("h3", f"{len(numbers)} of {several(len(done), 'finished run')}")
        shown = facts((name, value or "not recorded") for name, value in pairs)
        cards.append(el("section", title, shown, class_="card"))
    return el("div", *cards, class_="cards")


def _hosts(runs: pd.DataFrame) -> tuple[str, str]:
    if "environment.host" not in runs:
        return "Host", ""
    hosts = sorted(map(str, runs["environment.host"].dropna().unique()))
    more = f" and {len(hosts) - MOST_HOSTS} more" if len(hosts) > MOST_HOSTS else ""
    title = "Host" if len(hosts) == 1 else f"{len(hosts)} hosts"
    return title, ", ".join(hosts[:MOST_HOSTS]) + more


def reproduce(report: Report) -> Html:
    if report.synthetic:
        return el("p", "The numbers are made up by petl fabricate; nothing was trained.")
    commits = report.done["environment.git_commit"].dropna().unique()
    lines = ["make setup", ". .venv/bin/activate"]
    lines += [f"petl {command} {report.file}" for command in ("submit", "table", "report")]
    if len(commits) == 1 and not str(commits[0]).endswith("-dirty"):
        lines.insert(0, f"git checkout {commits[0]}")
        return join([el("p", "In a checkout of petl-ast:"), code_block(lines)])
    return join([el("p", _no_commit(commits)), code_block(lines)])


def _no_commit(commits: Sequence[Any]) -> str:
    if not len(commits):
        code = "unknown code"
    else:
        code = "several commits" if len(commits) > 1 else "code with uncommitted changes"
    return f"The runs were made with {code}. To run the study with the current code:"


SETTING = ("dataset.", "backbone.", "method.", "train.")


def settings(report: Report) -> Html:
    """The study's file, and every setting that it and the presets lead to."""
    frame = report.frame.drop_duplicates(KEY)
    names = [name for name in frame if name.startswith(SETTING) and frame[name].notna().any()]
    texts = frame[names].astype(object).map(_setting)
    differ = [name for name in names if texts[name].nunique() > 1]
    shared = [(name, texts[name].iloc[0]) for name in names if name not in differ]
    parts = [
        details("The study's file", code_block([_source(report)])),
        details(f"{len(shared)} settings that all runs share", scrolling(facts(shared))),
    ]
    if differ:
        who = frame["dataset_label"] + " · " + frame["method_label"] + " · " + frame["backbone"]
        rows = ([name, *texts.loc[i, differ]] for i, name in who.items())
        table = grid(("", *differ), rows, class_="settings")
        title = f"{len(differ)} settings that differ"
        parts.append(details(title, table, class_="wide"))  # too wide for paper
    return join(parts)


def _setting(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _source(report: Report) -> str:
    try:
        return report.study.path.read_text(errors="replace").rstrip()
    except OSError as error:
        return f"cannot read {report.study.path.name}: {reason(error)}"

"""How far the study is, and how to run what is missing."""

from __future__ import annotations

from shlex import quote
from typing import Any

import pandas as pd

from analysis.html.report import Report
from analysis.markup import Html, code_block, details, el, grid, join

STATES = ("done", "running", "failed", "broken", "stopped", "waiting")
TROUBLES = ("failed", "broken", "stopped", "running", "waiting")
"""The order of the list: errors first."""
MOST_MISSING = 300
"""The list ends here; each cell of the table still names its own missing runs."""
TASK = ("dataset", "backbone", "method", "fold", "seed")
OPEN = 12
"""A longer list is closed at first."""


def progress(report: Report) -> Html:
    counts = report.frame["state"].value_counts()
    there = [(state, int(counts[state])) for state in STATES if state in counts]
    bar = (el("i", class_=state, style=f"flex-grow:{number}") for state, number in there)
    label = ", ".join(f"{number} {state}" for state, number in there)
    legend = (
        el("li", el("i", class_=state), " ", el("b", number), f" {state}")
        for state, number in there
    )
    return join(
        [
            el("div", *bar, class_="bar", role="img", aria_label=label),
            el("ul", *legend, class_="legend"),
            _missing(report),
        ]
    )


def _missing(report: Report) -> Html:
    missing = report.frame[report.frame["state"] != "done"]
    if missing.empty:
        return el("p", "No run is missing.")
    order = missing["state"].map({state: i for i, state in enumerate(TROUBLES)})
    listed = missing.iloc[order.argsort(kind="stable")[:MOST_MISSING]]
    rows = [_missing_row(run, report.file) for _, run in listed.iterrows()]
    complete = len(listed) == len(missing)
    which = "All" if complete else f"The first {len(listed)} of {len(missing)}"
    more = el("p", "List all of them with ", el("code", f"petl ls {report.file} | grep -v done"))
    names = details(
        f"{which} missing runs" if len(missing) > 1 else "The missing run",
        grid(("Run", "State", "Reason", "Run id", "Command"), rows, class_="missing"),
        None if complete else more,
        open=len(missing) <= OPEN,
    )
    run_them = [f"petl submit {report.file}"]
    if (missing["state"] == "failed").any():
        run_them.append(f"petl retry {report.file}     # on a cluster: submit failed runs again")
    return join([el("p", "To run what is missing:"), code_block(run_them), names])


def _missing_row(run: pd.Series, file: str) -> list[Any]:
    name = f"{run['dataset_label']} · {run['method_label']} · fold {run['fold']}"
    who = " ".join(f"--{key} {quote(str(run[key]))}" for key in TASK)
    return [
        f"{name} · seed {run['seed']}",
        el("span", run["state"], class_=f"state {run['state']}"),
        run["reason"] or "",
        el("code", run["run_id"]),
        el("code", f"petl train {file} {who}"),
    ]

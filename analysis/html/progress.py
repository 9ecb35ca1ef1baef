"""How far the study is, and what to do about what is missing."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.html.element import Html, commands, el, join, table
from analysis.html.report import Report

STATES = ("done", "running", "failed", "broken", "stopped", "waiting")
TROUBLES = ("failed", "broken", "stopped", "running", "waiting")
"""What a reader wants to know of first."""
MOST_MISSING = 300
"""So many are listed; beyond it the reader has a command, and each cell has its own."""
OPEN = 12
"""A list that is longer is closed at first."""


def progress(report: Report) -> Html:
    counts = report.frame["state"].value_counts()
    there = [(state, int(counts[state])) for state in STATES if state in counts]
    bar = (el("i", class_=state, style=f"flex-grow:{number}") for state, number in there)
    said = ", ".join(f"{number} {state}" for state, number in there)
    legend = (
        el("li", el("i", class_=state), " ", el("b", number), f" {state}")
        for state, number in there
    )
    return join(
        [
            el("div", *bar, class_="bar", role="img", aria_label=said),
            el("ul", *legend, class_="legend"),
            _missing(report),
        ]
    )


def _missing(report: Report) -> Html | None:
    frame = report.frame
    missing = frame[frame["state"] != "done"]
    if missing.empty:
        return el("p", "No run is missing.")
    order = missing["state"].map({state: i for i, state in enumerate(TROUBLES)})
    listed = missing.iloc[order.argsort(kind="stable")[:MOST_MISSING]]
    rows = [_missing_row(run, report.file) for _, run in listed.iterrows()]
    heads = ("Run", "State", "Why", "Run id", "Command")
    some = f"The first {len(listed)} of {len(missing)}" if len(listed) < len(missing) else "All"
    more = el("p", "All of them: ", el("code", f"petl ls {report.file} | grep -v done"))
    names = el(
        "details",
        el("summary", f"{some} missing runs by name" if len(missing) > 1 else "The missing run"),
        table(heads, rows, class_="missing"),
        more if len(listed) < len(missing) else None,
        open=len(missing) <= OPEN,
    )
    run_them = [f"petl submit {report.file}"]
    if (missing["state"] == "failed").any():
        run_them.append(f"petl retry {report.file}     # on a cluster, those that failed")
    return join([el("p", "What is missing runs with"), commands(run_them), names])


def _missing_row(run: pd.Series, file: str) -> list[Any]:
    name = f"{run['dataset_label']} · {run['method_label']} · fold {run['fold']}"
    who = f"--dataset {run['dataset']} --backbone {run['backbone']} --method {run['method']}"
    alone = f"petl train {file} {who} --fold {run['fold']} --seed {run['seed']}"
    return [
        f"{name} · seed {run['seed']}",
        el("span", run["state"], class_=f"state {run['state']}"),
        run["reason"] or "",
        el("code", run["run_id"]),
        el("code", alone),
    ]

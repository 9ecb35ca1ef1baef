"""What came out, and what it cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.cells import Table
from analysis.html.element import Html, el, join, table
from analysis.html.report import Report
from analysis.tables.markup import fragment


def tables(report: Report) -> Html:
    """The one the study reports, and the others to be opened."""
    if not report.tables:
        return el("p", "No run has finished yet.")
    main, *others = report.tables
    marks = el(
        "p",
        el("span", "best", class_="best"),
        " and ",
        el("span", "second best", class_="second"),
        f" of a column. {_per_cell(main.table)}; a cell of fewer says so and takes no part. ",
        el("span", "A number opens the runs it is made of; a head sorts.", class_="scripted"),
        class_="marks",
    )
    return join(
        [
            Html(fragment(main.table, main.extras)),
            marks,
            *(
                el(
                    "details",
                    el("summary", other.table.measure.in_words),
                    Html(fragment(other.table, other.extras)),
                )
                for other in others
            ),
        ]
    )


def _per_cell(shown: Table) -> str:
    """`5 runs in each cell`, or by dataset."""
    found = {
        dataset.label: max(row.cells[j].expected for row in shown.rows)
        for j, dataset in enumerate(shown.datasets)
    }
    if len(set(found.values())) == 1:
        return f"Runs in each cell: {next(iter(found.values()))}"
    return f"Runs in each cell: {', '.join(f'{label} {n}' for label, n in found.items())}"


def costs(report: Report) -> Html:
    """Of finished runs: those under way and those that failed have not told theirs."""
    done = report.done
    if done.empty:
        return el("p", "No run has finished yet.")
    gpu = bool(done["gpu_hours"].sum())
    heads = ("Method", "Runs", "A run takes", "Hours", "GPU hours" if gpu else "Processor hours")
    labels = _labels(done)
    rows = [
        _cost(label, runs, gpu) for label, runs in done.groupby(labels, sort=False, dropna=False)
    ]
    total = _cost("Together", done, gpu)
    body = table((*heads, "Peak memory"), [*rows, total], class_="sortable totals")
    how = "time on a GPU" if gpu else "the time of each thread"
    note = f"Measured by the finished runs themselves; {heads[-1]}: {how}."
    return join([body, el("p", note, class_="note")])


def _labels(done: pd.DataFrame) -> pd.Series:
    several = done["backbone"].nunique() > 1
    return done["method_label"] + (" (" + done["backbone"] + ")" if several else "")


def _cost(label: Any, runs: pd.DataFrame, gpu: bool) -> list[Any]:
    seconds = runs["timing.seconds"]
    hours = seconds.sum() / 3600
    threads = runs.get("environment.threads", 1)
    of_all = runs["gpu_hours"].sum() if gpu else (seconds * threads).sum() / 3600
    peak = runs["peak_memory_mb"].max()
    return [
        label,
        _number(len(runs), str(len(runs))),
        _number(seconds.mean(), duration(seconds.mean())),
        _number(hours, f"{hours:.3g}"),
        _number(of_all, f"{of_all:.3g}"),
        _number(peak, f"{peak / 1024:.1f} GB" if peak >= 1024 else f"{peak:.0f} MB"),
    ]


def _number(value: float, text: str) -> Html:
    """Sorted by what it is, not by what it looks like."""
    there = value == value
    return el("td", text if there else "", data_value=f"{value:.10g}" if there else None)


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

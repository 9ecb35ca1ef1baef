"""The tables, and what the runs cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.cells import Table, method_names
from analysis.html.generated import of_generators
from analysis.html.report import Report
from analysis.markup import Html, details, el, grid, join
from analysis.tables.html import fragment


def tables(report: Report) -> Html:
    """The study's own measure, and the others in boxes to open."""
    if not report.tables:
        return el("p", "No run has finished yet.")
    main, *others = report.tables
    marks = el(
        "p",
        el("span", "best", class_="best"),
        " and ",
        el("span", "second best", class_="second"),
        f" in a column. {_per_cell(main.table)}; a cell with fewer shows how many it has, "
        "and is not ranked. ",
        el("span", "Click a number for its runs, a heading to sort.", class_="scripted"),
        class_="marks",
    )
    more = (
        details(other.table.measure.in_words, fragment(other.table, other.extras))
        for other in others
    )
    return join([fragment(main.table, main.extras), marks, *more, of_generators(report)])


def _per_cell(shown: Table) -> str:
    """`5 runs in each cell`, or by dataset."""
    expected = {
        dataset.label: max(row.cells[j].expected for row in shown.rows)
        for j, dataset in enumerate(shown.datasets)
    }
    if len(set(expected.values())) == 1:
        return f"Runs per cell: {next(iter(expected.values()))}"
    return f"Runs per cell: {', '.join(f'{label} {n}' for label, n in expected.items())}"


def costs(report: Report) -> Html:
    """Finished runs only: the others have not written what they took."""
    done = report.done
    if done.empty:
        return el("p", "No run has finished yet.")
    gpu = bool(done["gpu_hours"].sum())
    hours = "GPU hours" if gpu else "CPU hours"
    groups = done.groupby(method_names(done), sort=False, dropna=False)
    rows = [_cost(label, runs, gpu) for label, runs in groups]
    body = grid(
        ("Method", "Runs", "Time per run", "Hours", hours, "Peak memory"),
        [*rows, _cost("Total", done, gpu)],
        class_="sortable totals",
    )
    how = "time on a GPU" if gpu else "time multiplied by the number of threads"
    note = f"Finished runs, as they measured themselves. {hours}: {how}."
    return join([body, el("p", note, class_="note")])


def _cost(label: Any, runs: pd.DataFrame, gpu: bool) -> list[Any]:
    seconds = runs["timing.seconds"]
    hours = seconds.sum() / 3600
    threads = runs.get("environment.threads", 1)
    device_hours = runs["gpu_hours"].sum() if gpu else (seconds * threads).sum() / 3600
    peak = runs["peak_memory_mb"].max()
    return [
        label,
        _number(len(runs), str(len(runs))),
        _number(seconds.mean(), duration(seconds.mean())),
        _number(hours, f"{hours:.3g}"),
        _number(device_hours, f"{device_hours:.3g}"),
        _number(peak, f"{peak / 1024:.1f} GB" if peak >= 1024 else f"{peak:.0f} MB"),
    ]


def _number(value: float, text: str) -> Html:
    """`data-value` is what the script sorts by."""
    known = value == value
    return el("td", text if known else "", data_value=f"{value:.10g}" if known else None)


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

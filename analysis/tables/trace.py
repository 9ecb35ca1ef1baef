"""Where a cell comes from: its runs, and the code, packages and machine of each.

If a cell's runs differ in code, image or packages, its mean mixes experiments: there is a warning.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from analysis.cells import KEY, Cell, Dataset, Row, Table
from analysis.codes import codes
from analysis.tables.text import rendered
from petl import __version__

CODE = ("git_commit", "petl", "lock_hash", "image", "python", "torch", "cuda")
"""What should be the same within a cell; the GPU and the host may differ."""
WHERE = ("gpu", "host", "slurm_job_id")
LONG = {"git_commit": 10, "lock_hash": 10, "image": 24}
"""Characters to show of long values."""
RUN = ("run_id", "fold", "seed", "state", "reason", "synthetic")
SCHEMA = 1


def mixed(runs: pd.DataFrame) -> dict[str, list[str]]:
    """What differs between the finished runs of a cell; a missing value is a difference too."""
    done = runs[runs["state"] == "done"]
    values = {
        name: sorted({str(_plain(value)) for value in done[f"environment.{name}"].unique()})
        for name in CODE
        if name != "git_commit" and f"environment.{name}" in done
    }
    return codes(done) | {name: several for name, several in values.items() if len(several) > 1}


def warnings(frame: pd.DataFrame, table: Table) -> list[str]:
    """A line for each thing that differs, with the cells in which it does."""
    where: dict[str, list[str]] = {}
    values: dict[str, set[str]] = {}
    for row, dataset, runs in _cells(frame, table):
        for name, several in mixed(runs).items():
            where.setdefault(name, []).append(f"{row.label} · {dataset.label}")
            values.setdefault(name, set()).update(several)
    lines = []
    for name, cells in where.items():
        kinds = ", ".join(sorted(value[: LONG.get(name)] for value in values[name]))
        some = ", ".join(cells[:3]) + (f" and {len(cells) - 3} more" if len(cells) > 3 else "")
        lines.append(f"Warning: runs with different {name} ({kinds}) share a cell: {some}")
    commits = frame.loc[frame["state"] == "done", "environment.git_commit"].dropna()
    if dirty := int(commits.astype(str).str.endswith("-dirty").sum()):
        lines.append(f"Warning: {dirty} runs were made with uncommitted changes (-dirty)")
    return lines


# --- one cell, for a person -----------------------------------------------------------------------


def show(frame: pd.DataFrame, table: Table, wanted_row: str, wanted_column: str) -> str:
    """The runs behind a cell as a table, below what they have in common."""
    row, j = table.rows[table.row(wanted_row)], table.column(wanted_column)
    dataset, cell = table.datasets[j], row.cells[j]
    key = (row.backbone, row.method, dataset.name)
    runs = frame[(frame[KEY] == key).all(axis=1)]
    if runs.empty:
        return f"{row.label} · {dataset.label}: the study has no such run"
    done = runs[runs["state"] == "done"]
    facts = [name for name in (*CODE, *WHERE) if f"environment.{name}" in runs]
    kinds = {name: done[f"environment.{name}"].nunique(dropna=False) for name in facts}
    differ = [name for name in facts if kinds[name] > 1]
    lines = [_headline(table, row, dataset, cell)]
    if cell.synthetic:
        lines.append("SYNTHETIC: made-up numbers, nothing was trained")
    for name in facts:
        if kinds[name] == 1 and (value := _plain(done[f"environment.{name}"].iloc[0])):
            lines.append(f"  {name}: {value}")
    text = "\n".join([*lines, "", _grid(runs, table, differ)])
    several = list(mixed(runs))
    return text + (f"\nWarning: these runs differ in {', '.join(several)}" if several else "")


def _headline(table: Table, row: Row, dataset: Dataset, cell: Cell) -> str:
    name = f"{row.label} · {dataset.label}, {table.measure.in_words}"
    if not cell.finished:
        return f"{name}: 0 of {cell.expected} runs are finished"
    spread = "" if cell.spread is None else f" \u00b1 {cell.spread:.10g} ({table.spread.in_words})"
    folds = ", ".join(f"fold {fold} {value:.6g}" for fold, value in cell.by_fold)
    return f"{name}: {cell.mean:.10g}{spread} = mean of {folds} {cell.counts}".rstrip()


def _grid(runs: pd.DataFrame, table: Table, differ: list[str]) -> str:
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("run", "fold", "seed", table.measure.name, "state", *differ):
        grid.add_column(
            title, no_wrap=True, justify="right" if title in ("fold", "seed") else "left"
        )
    for _, run in runs.iterrows():
        value = run[table.measure.column]
        number = f"{table.measure.scaled(value):.6g}" if run["state"] == "done" else ""
        facts = [str(_plain(run[f"environment.{name}"]) or "")[: LONG.get(name)] for name in differ]
        state = f"{run['state']} {run['reason'] or ''}".strip()
        cells = (run["run_id"], run["fold"], run["seed"], number, state, *facts)
        grid.add_row(*(Text(str(cell)) for cell in cells))
    return rendered(grid)


# --- all cells, for a program ---------------------------------------------------------------------


def to_json(frame: pd.DataFrame, table: Table, notes: list[str]) -> str:
    """All cells; each environment is listed once, and a run has its position in that list."""
    environments: dict[str, int] = {}
    cells = []
    facts = [f"environment.{name}" for name in (*CODE, *WHERE)]
    needed = [*RUN, table.measure.column, *(fact for fact in facts if fact in frame)]
    for row, dataset, runs in _cells(frame, table):
        cell = row.cells[table.datasets.index(dataset)]
        cells.append(
            {
                **{"row": row.label, "column": dataset.label},
                **{"method": row.method, "backbone": row.backbone, "dataset": dataset.name},
                **{"mean": _number(cell.mean), "spread": _number(cell.spread)},
                **{"found": cell.finished, "expected": cell.expected, "params": cell.params},
                **{"synthetic": cell.synthetic, "mixed": mixed(runs)},
                "runs": [_run(run, table, environments) for run in runs[needed].to_dict("records")],
            }
        )
    whole = {
        **{"schema": SCHEMA, "made_by": f"petl-ast {__version__}", "study": table.study},
        **{"metric": table.measure.column, "unit": "percent" if table.measure.percent else ""},
        **{"spread": table.spread.name, "notes": notes},
        "environments": [json.loads(known) for known in environments],
        "cells": cells,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _run(run: dict[str, Any], table: Table, environments: dict[str, int]) -> dict[str, Any]:
    row = {name: _plain(run[name]) for name in RUN}
    if run["state"] != "done":
        return row
    values = {name: _plain(run.get(f"environment.{name}")) for name in (*CODE, *WHERE)}
    environment = json.dumps(values, default=str)
    number = environments.setdefault(environment, len(environments))
    value = _number(table.measure.scaled(run[table.measure.column]))
    return row | {"value": value, "environment": number}


def _cells(frame: pd.DataFrame, table: Table) -> Iterator[tuple[Row, Dataset, pd.DataFrame]]:
    indices = frame.groupby(KEY, sort=False).indices
    for row, dataset in product(table.rows, table.datasets):
        if (key := (row.backbone, row.method, dataset.name)) in indices:
            yield row, dataset, frame.iloc[indices[key]]


def _number(value: float | None) -> float | None:
    """JSON has no NaN."""
    return None if value is None or math.isnan(value) else value


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value

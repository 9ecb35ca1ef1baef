"""All runs as compact JSON: what the page shows of a cell when asked, and what a reader may keep.

`runs` is a list of lists, as `columns` says: `pandas.DataFrame(d["runs"], columns=d["columns"])`.
Values are as in result.json. `group` and `environment` are numbers of an entry of their lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.cells import KEY, Table
from analysis.html.report import Report
from analysis.tables.trace import CODE, mixed
from petl import __version__

SCHEMA = 1
STACK = (*CODE, "gpu", "threads", "host")
"""What an environment is here; runs of one differ in their Slurm job at most."""
RUN = ("group", "run_id", "fold", "seed", "state", "reason", "synthetic")
COST = {"environment.slurm_job_id": "slurm_job_id", "timing.seconds": "seconds"}


def document(report: Report) -> dict[str, Any]:
    measures = [made.table.measure for made in report.tables]
    groups = list(_groups(report))
    numbers = {tuple(group[name] for name in KEY): i for i, group in enumerate(groups)}
    runs = report.frame
    environment, environments = _environments(runs)
    columns: dict[str, Any] = {
        "group": [numbers[key] for key in runs[KEY].itertuples(index=False, name=None)],
        **{name: runs[name] for name in RUN[1:]},
        "environment": environment,
        **{short: runs[name] for name, short in COST.items() if name in runs},
        **{measure.column: runs[measure.column] for measure in measures},
    }
    rows = zip(*(map(_plain, column) for column in columns.values()), strict=True)
    return {
        **{"schema": SCHEMA, "made_by": f"petl-ast {__version__}"},
        **{"made": report.made.isoformat(timespec="seconds"), "study": report.study.name},
        **{"file": report.file, "description": report.study.description},
        **{"synthetic": report.synthetic, "warnings": report.warnings},
        "measures": [
            {"column": m.column, "percent": m.percent, "digits": m.digits} for m in measures
        ],
        "groups": groups,
        "environments": environments,
        "columns": list(columns),
        "runs": list(map(list, rows)),
    }


def _groups(report: Report) -> Iterator[dict[str, Any]]:
    """Row by row and column by column of the tables; without a table as the study has them."""
    places = report.frame.groupby(KEY, sort=False).indices
    for at, names in _places(report):
        there = at in places
        yield {
            **dict(zip(KEY, at, strict=True)),
            **names,
            "mixed": list(mixed(report.frame.iloc[places[at]])) if there else [],
        }


def _places(report: Report) -> Iterator[tuple[tuple[str, str, str], dict[str, str]]]:
    if report.tables:
        table: Table = report.tables[0].table
        for row in table.rows:
            for dataset in table.datasets:
                names = {"row": row.label, "column": dataset.label}
                yield (row.backbone, row.method, dataset.name), names
        return
    for _, first in report.frame.drop_duplicates(KEY).iterrows():
        names = {"row": first["method_label"], "column": first["dataset_label"]}
        yield tuple(first[KEY]), names  # type: ignore[misc]


def _environments(runs: pd.DataFrame) -> tuple[list[int | None], list[dict[str, Any]]]:
    """Each once; None for a run that is not finished."""
    found: dict[str, int] = {}
    numbers: list[int | None] = []
    names = [name for name in STACK if f"environment.{name}" in runs]
    values = runs[[f"environment.{name}" for name in names]].itertuples(index=False, name=None)
    for state, said in zip(runs["state"], values, strict=True):
        if state != "done":
            numbers.append(None)
            continue
        one = json.dumps(dict(zip(names, map(_plain, said), strict=True)))
        numbers.append(found.setdefault(one, len(found)))
    return numbers, [json.loads(one) for one in found]


def _plain(value: Any) -> Any:
    """What JSON knows: no NaN, no numpy; a count that pandas made 3.0 is 3."""
    if value is None or value != value:
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) > 1 else float(f"{value:.10g}")
    return value

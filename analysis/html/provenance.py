"""All runs as compact JSON: the script shows from it the runs of a cell, and a reader may keep it.

`runs` is a list of lists, as `columns` says: `pandas.DataFrame(d["runs"], columns=d["columns"])`.
Values are as in result.json. `group` and `environment` are positions in the lists of that name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd

from analysis.cells import KEY, method_names
from analysis.html.report import Report
from analysis.tables.trace import CODE, mixed
from petl import __version__

SCHEMA = 1
ENVIRONMENT = (*CODE, "gpu", "threads", "host")
RUN = ("group", "run_id", "fold", "seed", "state", "reason", "synthetic")
COST = {"environment.slurm_job_id": "slurm_job_id", "timing.seconds": "seconds"}


def provenance(report: Report) -> dict[str, Any]:
    measures = [made.table.measure for made in report.tables]
    runs = report.frame
    groups = list(_groups(runs))
    numbers = {tuple(group[name] for name in KEY): i for i, group in enumerate(groups)}
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


def _groups(runs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The cells of the table, row by row; the script finds a cell's group by its position."""
    rows = runs.assign(row=method_names(runs)).drop_duplicates(["backbone", "method"])
    columns = runs.drop_duplicates("dataset")
    indices = runs.groupby(KEY, sort=False).indices
    for row, column in product(rows.itertuples(), columns.itertuples()):
        key = (row.backbone, row.method, column.dataset)
        yield {
            **dict(zip(KEY, key, strict=True)),
            **{"row": row.row, "column": column.dataset_label},
            "mixed": list(mixed(runs.iloc[indices[key]])) if key in indices else [],
        }


def _environments(runs: pd.DataFrame) -> tuple[list[int | None], list[dict[str, Any]]]:
    """The number of each run's environment, None for one that is not finished, and the list."""
    numbers: dict[str, int] = {}
    of_runs: list[int | None] = []
    names = [name for name in ENVIRONMENT if f"environment.{name}" in runs]
    rows = runs[[f"environment.{name}" for name in names]].itertuples(index=False, name=None)
    for state, row in zip(runs["state"], rows, strict=True):
        text = json.dumps(dict(zip(names, map(_plain, row), strict=True)))
        of_runs.append(numbers.setdefault(text, len(numbers)) if state == "done" else None)
    return of_runs, list(map(json.loads, numbers))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no numpy types; a count that pandas made 3.0 is 3 again."""
    if value is None or value != value:
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) > 1 else float(f"{value:.10g}")
    return value

"""What a study has cost so far, by what its finished runs say of themselves."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from petl.runs.result import Result
from slurm.format import duration
from slurm.status.plan import Item, Plan


def costs(plan: Plan) -> Table:
    """GPU hours of each group; runs without a result have not told theirs yet."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column()
    for _ in range(4):
        table.add_column(justify="right")
    table.add_row("", "runs", "GPU hours", "a run takes", "in the queue")
    for group, items in plan.groups().items():
        _row(table, f"{group.dataset} · {group.method}", items)
    _row(table, "together", plan.items)
    return table


def _row(table: Table, name: str, items: Iterable[Item]) -> None:
    results = [result for item in items if (result := item.run.result()) is not None]
    seconds = [float(result["timing"]["seconds"]) for result in results]
    hours = sum(time * _gpus(result) for time, result in zip(seconds, results, strict=True)) / 3600
    waits = [wait for result in results if (wait := _wait(result)) is not None]
    table.add_row(
        name,
        str(len(results)),
        f"{hours:.3g}",
        duration(sum(seconds) / len(seconds)) if seconds else "",
        duration(sum(waits) / len(waits)) if waits else "",
    )


def _gpus(result: Result) -> float:
    """What the job had, else one if the run was on a GPU at all."""
    job = result["environment"].get("slurm")
    return float(
        job["gpus"] if job and "gpus" in job else result["environment"].get("gpu") is not None
    )


def _wait(result: Result) -> float | None:
    job = result["environment"].get("slurm")
    return job.get("wait_s") if job else None

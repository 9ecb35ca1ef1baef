"""What a study has cost so far, from the results of its finished runs."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from rich.table import Table

from petl.runs.result import Result
from slurm.format import duration
from slurm.status.plan import Item, Plan


def costs(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column()
    for _ in range(4):
        table.add_column(justify="right")
    table.add_row("", "runs", "GPU hours", "per run", "in the queue")
    for group, items in plan.groups().items():
        table.add_row(f"{group.dataset} · {group.method}", *_cells(items))
    table.add_row("total", *_cells(plan.items))
    return table


def _cells(items: Iterable[Item]) -> list[str]:
    results = [result for item in items if (result := item.run.result()) is not None]
    seconds = [float(result["timing"]["seconds"]) for result in results]
    hours = sum(time * _gpus(result) for time, result in zip(seconds, results, strict=True)) / 3600
    jobs = [result["environment"].get("slurm") or {} for result in results]
    waits = [wait for job in jobs if (wait := job.get("wait_s")) is not None]
    means = [duration(fmean(times)) if times else "" for times in (seconds, waits)]
    return [str(len(results)), f"{hours:.3g}", *means]


def _gpus(result: Result) -> float:
    """Those of its job; a run without a job has used one, if there was one."""
    job = result["environment"].get("slurm") or {}
    return float(job.get("gpus", result["environment"].get("gpu") is not None))

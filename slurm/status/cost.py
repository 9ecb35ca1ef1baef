"""What a study has cost so far, from the results of its finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from rich.table import Table

from petl.runs.result import Result
from slurm.format import duration
from slurm.status.plan import Plan


class Spent(NamedTuple):
    """By a finished run."""

    seconds: float
    gpus: float
    threads: int
    wait_s: float | None


def costs(plan: Plan) -> Table:
    groups = {
        f"{group.dataset} · {group.method}": [
            _spent(result) for item in items if (result := item.run.result()) is not None
        ]
        for group, items in plan.groups().items()
    }
    every = [spent for group in groups.values() for spent in group]
    on_gpu = any(spent.gpus for spent in every) or not every
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column()
    for _ in range(4):
        table.add_column(justify="right")
    table.add_row("", "runs", "GPU hours" if on_gpu else "CPU hours", "per run", "in the queue")
    for name, spent in (groups | {"total": every}).items():
        table.add_row(name, *_cells(spent, on_gpu))
    return table


def _cells(runs: Sequence[Spent], on_gpu: bool) -> list[str]:
    hours = sum(run.seconds * (run.gpus if on_gpu else run.threads) for run in runs) / 3600
    seconds = [run.seconds for run in runs]
    waits = [run.wait_s for run in runs if run.wait_s is not None]
    means = [duration(fmean(times)) if times else "" for times in (seconds, waits)]
    return [str(len(runs)), f"{hours:.3g}", *means]


def _spent(result: Result) -> Spent:
    """With the GPUs of its job; a run without a job has used one, if there was one."""
    environment = result["environment"]
    job = environment.get("slurm") or {}
    gpus = float(job.get("gpus", environment.get("gpu") is not None))
    threads, wait = environment.get("threads") or 1, job.get("wait_s")
    return Spent(float(result["timing"]["seconds"]), gpus, threads, wait)

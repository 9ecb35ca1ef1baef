"""One task in, one run directory out."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any

import torch

from petl import config
from petl.claim import Claim
from petl.data import load
from petl.files import append_json_line, write_json
from petl.model import build_model, count_parameters
from petl.places import Places
from petl.runs import SCHEMA, RunDir
from petl.train.environment import environment
from petl.train.loop import Outcome, Row, fit
from petl.train.seeding import seeded

Result = dict[str, Any]


def run_task(
    task: config.Task,
    places: Places,
    *,
    threads: int | None = None,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> Result:
    """Train one task unless its run is done already; the claim keeps a second process away."""
    run = RunDir.of(task, places.runs)
    if (result := run.result()) is not None:
        return result
    run.path.mkdir(parents=True, exist_ok=True)
    with Claim(run.claim_file) as claim:
        if (result := run.result()) is not None:  # done while we waited for the claim
            return result
        run.start(task)
        log = _Log(run)
        log(f"{task}  (run {task.run_id}, {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z})")

        def record(row: Row) -> None:
            append_json_line(run.metrics_file, row)
            log(
                "  ".join(
                    f"{k} {v:.6g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
                )
            )
            claim.touch()
            on_epoch(row)

        try:
            result = _train(task, places, threads, record)
        except Exception as error:
            log(traceback.format_exc())
            _note_failure(run, error)
            raise
        write_json(run.result_file, result)
        log(f"done: {result['metrics']}")
        return result


def _train(
    task: config.Task, places: Places, threads: int | None, record: Callable[[Row], None]
) -> Result:
    started = time.perf_counter()
    if threads is not None:
        torch.set_num_threads(threads)
    data = load(task, places)
    data_s = time.perf_counter() - started
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with seeded(task.seed, task.fold, "init"):
        model = build_model(task).to(device)
    outcome: Outcome = fit(model, data, task, record)
    return {
        "schema": SCHEMA,
        "run_id": task.run_id,
        "task": task.to_json(),
        "params": count_parameters(model),
        "metrics": {
            "test_last": outcome.test_last,
            "test_best": outcome.test_best,
            "val_best": outcome.val_best,
        },
        "best_epoch": outcome.best_epoch,
        "epochs": task.train.epochs,
        "timing": {"seconds": time.perf_counter() - started, "data_seconds": data_s},
        "peak_memory_mb": _peak_memory_mb(device),
        "environment": environment(),
    }


def _peak_memory_mb(device: torch.device) -> float:
    """The GPU's allocations where there is one, else the process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _note_failure(run: RunDir, error: Exception) -> None:
    lines = str(error).strip().splitlines()
    write_json(
        run.failure_file,
        {
            "kind": type(error).__name__,
            "message": lines[0] if lines else type(error).__name__,
            "traceback": traceback.format_exc(),
        },
    )


class _Log:
    """log.txt, appended: an earlier try's last words stay readable."""

    def __init__(self, run: RunDir):
        self.path = run.log_file

    def __call__(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line.rstrip() + "\n")

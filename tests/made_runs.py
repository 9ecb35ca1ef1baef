"""Run directories as training leaves them, made without training."""

from __future__ import annotations

from pathlib import Path

from petl.config import Task
from petl.files import append_json_line, write_json
from petl.runs.directory import RunDir
from petl.runs.result import new_result


def finished(task: Task, runs: Path, accuracy: float = 0.5, seconds: float = 60.0) -> RunDir:
    run = stopped(task, runs, task.train.epochs)
    scores = {"accuracy": accuracy, "loss": 1.0}
    better = {"accuracy": accuracy + 0.1, "loss": 0.9}
    result = new_result(
        task,
        classes=(),
        statistics=None,
        params={"trainable": 1200, "trainable_without_head": 200, "total": 10_000},
        metrics={"test_last": scores, "test_best": better, "val_best": better},
        confusion={},
        best_epoch=1,
        epochs=task.train.epochs,
        timing={"seconds": seconds},
        peak_memory_mb=1.0,
        environment={},
    )
    write_json(run.result_file, result)
    return run


def stopped(task: Task, runs: Path, epochs: int) -> RunDir:
    """As an interrupted run looks after so many finished epochs."""
    run = RunDir.of(task, runs)
    run.path.mkdir(parents=True)
    run.start(task)
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5}
        append_json_line(run.metrics_file, row | {"lr": 1e-3, "seconds": 1.0})
    return run


def failed(task: Task, runs: Path, message: str) -> RunDir:
    run = stopped(task, runs, 2)
    failure = {"kind": "ValueError", "message": message, "traceback": "..."}
    write_json(run.failure_file, failure)
    run.log_file.write_text("...")
    return run

"""A study whose runs are made up: chosen accuracies, written as the trainer writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from petl.config import Task
from petl.config.study import Study, load_study
from petl.runs.directory import RunDir
from petl.runs.result import SCHEMA

Accuracy = Callable[[Task], "float | None"]
"""What a made run measured; None for a run that does not exist."""

# The authors' code on a full-size AST: all trainable, without the head.
PARAMS = {
    "full": (85_746_482, 85_708_032),
    "linear": (39_986, 1_536),
    "bitfit": (140_594, 102_144),
    "lora": (261_170, 222_720),
    "bottleneck-pfeiffer": (288_962, 250_512),
    "conformer-pfeiffer": (310_706, 272_256),
}


class MadeStudy:
    def __init__(self, folder: Path, **matrix: Any):
        defaults = {
            "dataset": "esc50",
            "backbone": "ast",
            "method": ["full", "linear"],
            "fold": "all",
            "seed": 10,
        }
        file = {
            "description": "made up",
            "profile": "as-run",
            "report": "test_last",
            "matrix": defaults | matrix.pop("matrix", {}),
            **matrix,
        }
        path = folder / "made.yaml"
        path.write_text(yaml.safe_dump(file))
        self.study: Study = load_study(path)
        self.runs = folder / "runs"

    def run(self, accuracy: Accuracy) -> MadeStudy:
        for task in self.study.tasks:
            measured = accuracy(task)
            if measured is not None:
                self.write(task, result(task, measured))
        return self

    def write(self, task: Task, content: Any) -> RunDir:
        run = RunDir.of(task, self.runs)
        run.path.mkdir(parents=True, exist_ok=True)
        run.task_file.write_text(json.dumps(task.to_json()))
        run.result_file.write_text(content if isinstance(content, str) else json.dumps(content))
        return run


def result(task: Task, accuracy: float) -> dict[str, Any]:
    trainable, without_head = PARAMS.get(task.names.method, (50_000, 12_345))
    measured = {"accuracy": accuracy, "loss": 1 - accuracy}
    return {
        "schema": SCHEMA,
        "run_id": task.run_id,
        "task": task.to_json(),
        "params": {
            "trainable": trainable,
            "trainable_without_head": without_head,
            "total": 86_000_000,
        },
        "metrics": {
            "test_last": measured,
            "test_best": {"accuracy": accuracy + 0.01, "loss": 0.5},
            "val_best": measured,
        },
        "best_epoch": 3,
        "epochs": 4,
        "timing": {"seconds": 1.5},
        "peak_memory_mb": 100,
        "environment": {"synthetic": True, "git_commit": "0" * 40},
    }

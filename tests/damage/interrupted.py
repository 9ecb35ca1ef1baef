"""A run that was stopped half-way, in a folder that a test may damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from petl.config import Task
from petl.config.options import Options
from petl.errors import UserError
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.run import run_task

Damage = Callable[[RunDir], object]


class Case:
    def __init__(self, study: tuple[Places, Task, Task], half_way: Path, runs: Path):
        shutil.copytree(half_way, runs)
        places, self.task, self.other = study
        self.places = Places(runs, places.data, places.cache)
        self.run = RunDir.of(self.task, runs)

    def train(self) -> str:
        """What log.txt then says more."""
        before = len(self.run.log_file.read_text())
        run_task(self.task, self.places, Options(threads=1))
        return self.run.log_file.read_text()[before:]

    def refusal(self) -> str:
        with pytest.raises(UserError) as error:
            run_task(self.task, self.places, Options(threads=1))
        assert "\n" not in str(error.value)
        assert self.task.run_id in str(error.value)
        return str(error.value)


def numbers(run: RunDir) -> Any:
    """All that a run leaves, less times."""
    result = run.result()
    assert result is not None
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in run.metrics()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    facts = {key: result[key] for key in ("metrics", "confusion", "best_epoch", "epochs")}  # type: ignore[literal-required]
    return facts, rows, run.weights_file.read_bytes()

"""A scheduler that says what a test tells it, and a submission that it knows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from petl.config.study import Study
from slurm.record import Record
from slurm.scheduler import Answer, sacct_line, squeue_line
from slurm.status import plan as planning
from slurm.submission import Submission


def submit(study: Study, runs: Path, **more: object) -> Submission:
    settings = {"study": str(study.path), "cluster": "here", "user": "me", "host": "login"}
    settings |= {"when": time.time(), "mem_gb": 16.0, "gpus": 1, "per_job": 1, "per_array": 100}
    settings |= {"side_by_side": 1, "fruitless_requeues": 3, "hold_after": 3}
    settings |= {"runs": tuple(task.run_id for task in study.tasks), **more}
    record = Record(**settings)
    submission = Submission.new(runs / study.name / "slurm", record)
    submission.folder.mkdir(parents=True)
    submission.write()
    submission.note(0, "12")
    return submission


class Scheduler:
    """Says what it is told to say: each line as squeue or sacct print it for our format."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, submission: Submission):
        self.name, self.squeue, self.sacct = submission.name(0), [], []
        self.squeue_trouble = self.sacct_trouble = ""
        monkeypatch.setattr(planning, "queued", self.queued)
        monkeypatch.setattr(planning, "accounted", self.accounted)

    def queued(self, arrays: list[str]) -> Answer:
        rows = [f"{self.name}|12|{line}" for line in self.squeue]
        return Answer(
            dict(pair for row in rows for pair in squeue_line(row)), {}, self.squeue_trouble
        )

    def accounted(self, arrays: list[str], since: float) -> Answer:
        rows = [f"{self.name}|12_{line}" for line in self.sacct]
        return Answer(
            dict(pair for row in rows for pair in sacct_line(row)), {}, self.sacct_trouble
        )

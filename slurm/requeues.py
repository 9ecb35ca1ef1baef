"""How often a job was requeued, and whether it wrote a checkpoint in between."""

from __future__ import annotations

import os
from typing import Any

from petl.files import read_json, write_json
from petl.runs.directory import RunDir


class Requeues:
    """A file in the run directory of an unfinished run, written only by requeued jobs."""

    def __init__(self, run: RunDir):
        self.run = run
        self.file = run.path / "requeues.json"

    def begin(self) -> int:
        """Called when a job starts: how often in a row it was requeued without a new checkpoint."""
        times = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
        if not times:
            self.forget()
            return 0
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        before = self._before()
        if before.get("job") != job:
            before = {"fruitless": 0}
        checkpoint = self._checkpoint()
        is_new = checkpoint != before.get("checkpoint")
        fruitless = 0 if is_new else before["fruitless"] + 1
        self.run.path.mkdir(parents=True, exist_ok=True)
        write_json(
            self.file,
            {"job": job, "times": times, "fruitless": fruitless, "checkpoint": checkpoint},
        )
        return fruitless

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)

    def times(self) -> int:
        return int(self._before().get("times", 0))

    def _before(self) -> dict[str, Any]:
        """What is damaged counts as the first time."""
        before = read_json(self.file)
        counts = ("times", "fruitless")
        if isinstance(before, dict) and all(isinstance(before.get(key), int) for key in counts):
            return before
        return {}

    def _checkpoint(self) -> int | None:
        try:
            return self.run.resume_file.stat().st_mtime_ns
        except FileNotFoundError:
            return None

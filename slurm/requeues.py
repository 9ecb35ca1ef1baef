"""How often a job has come back into the queue, and whether it got any further in between."""

from __future__ import annotations

import os

from petl.files import read_json, write_json
from petl.runs.directory import RunDir


class Requeues:
    """A file of the run directory while the run goes, written only by jobs that did come back."""

    def __init__(self, run: RunDir):
        self.run = run
        self.file = run.path / "requeues.json"

    def begin(self) -> int:
        """How many times in a row it has got no further."""
        times = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
        if not times:
            self.forget()
            return 0
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        before = read_json(self.file) or {}
        if before.get("job") != job:
            before = {"checkpoint": None, "fruitless": 0}
        checkpoint = self._checkpoint()
        further = checkpoint != before["checkpoint"]
        fruitless = 0 if further else before["fruitless"] + 1
        self.run.path.mkdir(parents=True, exist_ok=True)
        write_json(
            self.file,
            {"job": job, "times": times, "fruitless": fruitless, "checkpoint": checkpoint},
        )
        return fruitless

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)

    def times(self) -> int:
        return int((read_json(self.file) or {}).get("times", 0))

    def _checkpoint(self) -> int | None:
        try:
            return self.run.resume_file.stat().st_mtime_ns
        except FileNotFoundError:
            return None

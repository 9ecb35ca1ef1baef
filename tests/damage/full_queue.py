"""A Slurm that starts nothing."""

from __future__ import annotations

from petl.config.options import Options
from petl.config.study import Study
from petl.places import Places
from slurm.scheduler import Answer, ArrayTask, Job
from slurm.status.plan import Plan
from slurm.submission import Submission
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Batch, Cluster, prepare


class Slurm:
    """All that was ever submitted waits in its queue."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def queued(self, arrays: list[str]) -> Answer:
        return Answer({ArrayTask(a, i): Job(f"12_{i}", "PENDING") for a in arrays for i in (0, 1)})

    def run(self, command: list[str], text: str = "") -> str:
        self.asked.append(list(command))
        return "13\n"


def submit(study: Study, places: Places, items: slice) -> Submission:
    cluster = Cluster("example", Profile(time="10", max_array_size=10), places, Options())
    plan = Plan(study, places.runs)
    made = prepare(plan, Batch(plan.items[items], 16.0), cluster)
    made.note(0, "12")
    made.cancelled_file.write_text('{"jobs": ["12_7"]}\n')
    return made

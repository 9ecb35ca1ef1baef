"""Submitters that die at any moment, others at work beside them: no run twice, none lost."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from tiny import LONG, Make, petl, start, until

from petl.config.study import Study
from petl.places import Places
from slurm.devcluster import DevCluster
from slurm.submission import submissions, submissions_folder

pytestmark = pytest.mark.slurm

HELD = """\
{partition: gpu, gpus: 1, cpus: 1, mem_gb: 2, time: 30, max_array_size: 2, sbatch: {hold: true}}
"""
RUNS = 5
"""Three arrays."""


@pytest.fixture
def holding(tmp_path: Path) -> Path:
    """Its jobs stay in the queue: what is submitted can be counted."""
    path = tmp_path / "holding.yaml"
    path.write_text(HELD)
    return path


def queued(study: Study, places: Places, cluster: DevCluster) -> Counter[str]:
    """How often each run is in the queue, jobs of abandoned arrays not counted."""
    known = submissions(places.runs / study.name / "slurm")
    whose = {
        submission.array_task(index): run
        for submission in known
        for index, run in enumerate(submission.record.runs)
        if not submission.was_abandoned(index // submission.in_chunk)
    }
    rows = cluster.run("squeue", "-h", "-r", "-o", "%j %K").splitlines()
    jobs = [(name, int(task_id)) for name, task_id in (row.split() for row in rows)]
    return Counter(whose[job] for job in jobs if job in whose)  # type: ignore[index]


def begins_within(moment: float, folder: Path) -> None:
    """Wait until somebody submits, and a moment longer."""
    with suppress(AssertionError):  # it was done before we looked
        until((folder / "submit.json").exists, 10)
    time.sleep(moment)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_submitters_killed_at_random_moments_lose_nothing_and_double_nothing(
    make: Make, places: Places, in_cluster: DevCluster, holding: Path, seed: int
) -> None:
    """One dies, the next begins at once; of two more that begin together one dies too."""
    loaded, rng = make("linear", "all", LONG), Random(seed)
    command = ("submit", loaded.path, "--cluster", holding, "--yes")
    folder = submissions_folder(places.runs, loaded.name)
    first = start(*command, places=places)
    begins_within(rng.uniform(0, 0.2), folder)
    first.kill()
    both = [start(*command, places=places) for _ in range(2)]
    begins_within(rng.uniform(0, 0.2), folder)
    both[rng.randrange(2)].kill()
    told = [process.communicate(timeout=90) for process in (first, *both)]
    petl(*command, places=places)
    in_queue = queued(loaded, places, in_cluster)
    assert in_queue == dict.fromkeys(in_queue, 1) and len(in_queue) == RUNS, told
    assert "nothing to submit" in petl(*command, places=places)

"""A study of short runs in a folder of its own, and how a person submits it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from petl.config import Task
from petl.config.study import load_study
from petl.places import Places
from slurm.devcluster import DevCluster
from slurm.scheduler import Job
from slurm.status.plan import Plan
from slurm.submission import attempts, submissions

AT_A_TIME = 4
GPU = "gres:gpu:1"
SUBMIT_S = 120

STUDY = """\
description: Runs of a few seconds, made to be disturbed
profile: as-run
report: test_last
keep_weights: true
matrix:
  dataset: made-sounds
  backbone: ast-small
  method: [linear, bitfit, lora, bottleneck-pfeiffer]
  fold: all
  seed: SEEDS
datasets:
  made-sounds:
    dataset:
      {corpus: made-sounds, layout: esc50, classes: 10, folds: 5, frames: 32, split: paper,
       spec_augment: null, few_shot: {per_class: 8, draw: seeded}}
    train: {epochs: 6, batch_size: 16}
"""

PROFILE = f"""\
description: Preemptible jobs, {AT_A_TIME} at a time, in several arrays
partition: killable
gpus: 1
cpus: 1
mem_gb: 2
time: 30
signal_lead_s: 10
throttle: {AT_A_TIME}
max_array_size: 8
"""


@dataclass(frozen=True)
class Queue:
    """The queue at one moment: the study's running jobs by id, their GPUs, and its length."""

    running: dict[str, Job]
    gpus: set[str]
    length: int


class ShortStudy:
    """A study file, the cluster profile it is submitted with, and the runs it makes."""

    def __init__(self, folder: Path, seeds: Sequence[int], places: Places):
        folder.mkdir(parents=True)
        self.places = places
        self.profile = folder / "cluster.yaml"
        self.profile.write_text(PROFILE)
        file = folder / "rehearsal.yaml"
        file.write_text(STUDY.replace("SEEDS", str(list(seeds))))
        self.study = load_study(file)

    def plan(self) -> Plan:
        return Plan(self.study, self.places.runs)

    def jobs(self) -> dict[str, str]:
        """Run id -> the id of the job that does it, such as `12_3`, where it is known."""
        known = attempts(submissions(self.places.runs / self.study.name / "slurm"))
        jobs = {run: last.job for run, (*_, last) in known.items()}
        return {run: job for run, job in jobs.items() if job}

    def run_on_this_machine(self, workers: int) -> None:
        """With one thread per run, as on the cluster: another number of threads rounds
        differently."""
        done = self._petl("--local", str(workers), timeout_s=None)
        assert done.returncode == 0, f"the undisturbed runs failed: {done.stdout}{done.stderr}"

    def submit(self) -> str:
        """The first line of `petl submit`, or its error: a person tries again later."""
        done = self._petl("--cluster", str(self.profile), "--yes", timeout_s=SUBMIT_S)
        if done.returncode:
            return f"failed, {done.stderr.strip()}"
        return done.stdout.partition("\n")[0]

    def _petl(self, *options: str, timeout_s: float | None) -> subprocess.CompletedProcess[str]:
        folders = vars(self.places).items()
        return subprocess.run(
            [sys.executable, "-m", "petl.cli", "submit", str(self.study.path), *options],
            env=os.environ | {f"PETL_{key.upper()}": str(folder) for key, folder in folders},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )


def read_queue(cluster: DevCluster) -> Queue:
    """From squeue itself, not through `petl`, whose throttle and end states are under test."""
    rows = cluster.run("squeue", "-h", "-r", "-o", "%j|%i|%T|%b|%N").splitlines()
    fields = [row.split("|") for row in rows]
    running = [field for field in fields if field[2] == "RUNNING" and field[0].startswith("petl-")]
    jobs = {job: Job(job, state, node=node) for _, job, state, _, node in running}
    return Queue(jobs, {gpu for _, _, _, gpu, _ in running}, len(rows))


def label(task: Task) -> str:
    return f"{task.names.method} fold {task.fold}"

"""A study of short runs, and a person who submits it to a cluster and keeps an eye on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from petl.config import Task
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.files import write_atomic
from petl.places import Places
from slurm.devcluster import DevCluster
from slurm.scheduler import Job
from slurm.status.plan import Plan
from slurm.submission import submissions, tries

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
description: Jobs that give way to others, {AT_A_TIME} at a time, in several arrays
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
class Look:
    """One look at the queue: the study's jobs that run, by id, and all that is in it."""

    running: dict[str, Job]
    gpus: set[str]
    queued: int


class Stage:
    """A folder with a study, the profile it is submitted with, and the runs it makes."""

    def __init__(self, folder: Path, seeds: Sequence[int], places: Places):
        folder.mkdir(parents=True)
        self.places = Places(folder / "runs", places.data, places.cache)
        self.profile = folder / "cluster.yaml"
        write_atomic(self.profile, PROFILE.encode())
        file = folder / "rehearsal.yaml"
        write_atomic(file, STUDY.replace("SEEDS", str(list(seeds))).encode())
        self.study: Study = load_study(file)

    def plan(self) -> Plan:
        return Plan(self.study, self.places.runs)

    def jobs(self) -> dict[str, str]:
        """The job, as in `12_3`, that is to do each run, as far as the numbers are known."""
        known = tries(submissions(self.places.runs / self.study.name / "slurm"))
        jobs = {run: last.submission.job(last.at) for run, (*_, last) in known.items()}
        return {run: job for run, job in jobs.items() if job}

    def run_here(self, workers: int) -> None:
        """With one thread for each, as on the cluster: another number rounds differently."""
        command = self._petl("submit", str(self.study.path), "--local", str(workers))
        if subprocess.run(command, env=self._environment(), stdin=subprocess.DEVNULL).returncode:
            raise UserError("the runs failed on this machine already")

    def submit(self) -> str:
        """What `petl submit` says first, or why it failed: a person would try again later."""
        cluster = ("--cluster", str(self.profile), "--yes")
        done = subprocess.run(
            self._petl("submit", str(self.study.path), *cluster),
            env=self._environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SUBMIT_S,
        )
        if done.returncode:
            return f"failed, {done.stderr.strip()}"
        return done.stdout.partition("\n")[0]

    def _petl(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "petl.cli", *arguments]

    def _environment(self) -> dict[str, str]:
        folders = vars(self.places).items()
        return os.environ | {f"PETL_{key.upper()}": str(folder) for key, folder in folders}


def look(cluster: DevCluster) -> Look:
    """Asked apart from `petl`, whose throttle and ends it is to check."""
    rows = cluster.run("squeue", "-h", "-r", "-o", "%j|%i|%T|%b|%N").splitlines()
    fields = [row.split("|") for row in rows]
    running = [field for field in fields if field[2] == "RUNNING" and field[0].startswith("petl-")]
    jobs = {job: Job(job, state, node=node) for _, job, state, _, node in running}
    return Look(jobs, {gpu for _, _, _, gpu, _ in running}, len(rows))


def label(task: Task) -> str:
    return f"{task.names.method} fold {task.fold}"

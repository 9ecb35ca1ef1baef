"""A generator on Slurm is a run like every other: killed outright, it ends with the same bits."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from test_on_slurm import written
from tiny import SHORT, Make, numbers, petl, runs, until

from petl.config.options import Options
from petl.places import Places
from petl.runs.claim import holder
from petl.runs.directory import RunDir
from petl.train.run import run_task
from slurm.devcluster import DevCluster

SETTINGS = "set: {generator: {width: 4, look_every: 2}, train: {epochs: 8, batch_size: 40}}\n"


@pytest.mark.slurm
def test_a_killed_generator_goes_on_when_submitted_again_and_ends_with_the_same_bits(
    in_cluster: DevCluster, make: Make, places: Places, tmp_path: Path
) -> None:
    study, profile = make("r3gan", "0", SHORT, SETTINGS), written(tmp_path, "")
    petl("submit", study.path, "--cluster", profile, "--yes", places=places)
    (run,) = runs(study, places)
    until(lambda: len(run.metrics()) > 1 and run.resume_file.exists() and run.claim_file.exists())
    os.kill(holder(run.claim_file)["pid"], signal.SIGKILL)
    until(lambda: not in_cluster.run("squeue", "-h").strip())
    assert run.result() is None
    petl("submit", study.path, "--cluster", profile, "--yes", places=places)
    alone = Places(tmp_path / "alone", places.data, places.cache)
    run_task(study.tasks[0], alone, Options(threads=1))
    until(run.result)
    assert run.result()["timing"]["tries"] == 2
    undisturbed = RunDir.of(study.tasks[0], alone.runs)
    assert numbers(run) == numbers(undisturbed)
    for name in ("weights.safetensors", "samples.png"):
        assert (run.path / name).read_bytes() == (undisturbed.path / name).read_bytes()

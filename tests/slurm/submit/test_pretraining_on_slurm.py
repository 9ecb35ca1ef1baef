"""A pre-training is submitted like every other study, and leaves a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_on_slurm import written
from tiny import SHORT, Make, petl, runs, until

from petl.places import Places
from slurm.devcluster import DevCluster

OBJECTIVE = "objective: {kind: reconstruct, time: 16, target: sound}\n"


@pytest.mark.slurm
def test_a_pretraining_on_slurm_leaves_a_checkpoint(
    in_cluster: DevCluster, make: Make, places: Places, tmp_path: Path
) -> None:
    study = make("full", "0", SHORT, OBJECTIVE)
    petl("submit", study.path, "--cluster", written(tmp_path, ""), "--yes", places=places)
    (run,) = runs(study, places)
    until(run.result)
    petl("export", run.path, tmp_path / "checkpoint", places=places)
    assert (tmp_path / "checkpoint" / "model.safetensors").stat().st_size > 1000

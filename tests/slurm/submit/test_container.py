"""A job in a real container on a real Slurm, started by Charliecloud.

The container is a small Debian into which this environment is mounted, so that it takes a minute;
PETL_TEST_IMAGE=DIR puts the real image in its place (docs/container.md).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import LONG, ROOT, SHORT, numbers, petl, runs, until

from petl.config.study import Study, load_study
from petl.places import Places
from petl.runs.directory import RunDir
from slurm.devcluster import DevCluster
from slurm.status.plan import Plan
from slurm.submit import local, threads

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

STUDY = """\
description: tiny
profile: as-run
report: test_last
matrix: {{dataset: made-sounds, backbone: ast-small, method: linear, fold: 0, seed: {seed}}}
datasets:
  made-sounds:
    dataset:
      {{corpus: made-sounds, layout: esc50, classes: 10, folds: 5, frames: 32, split: paper,
       spec_augment: null}}
    train: {{epochs: {epochs}, batch_size: 64}}
"""
MOUNT_POINT = "/var/tmp"
"""In every Debian, and not /tmp, which Charliecloud mounts by itself."""
LIBRARIES = "libexpat1,libffi8,libreadline8,libsqlite3-0,libssl3"
MARK = "started in the image"


@pytest.fixture(scope="module")
def container() -> Iterator[dict[str, Any]]:
    """As a profile says it."""
    image = os.environ.get("PETL_TEST_IMAGE")
    for program in ["ch-run"] if image else ["ch-run", "debootstrap"]:
        if not shutil.which(program):
            if os.environ.get("CI") == "true":
                pytest.fail(f"CI has no {program}")
            pytest.skip(f"{program} is not installed")
    if image:
        yield {"kind": "charliecloud", "image": image, "binds": [MOUNT_POINT]}
        return
    folder = Path(tempfile.mkdtemp(prefix="petl-image-", dir=MOUNT_POINT))
    try:
        binds = make_image(folder / "image")
        image = str(folder / "image")
        yield {"kind": "charliecloud", "image": image, "binds": [MOUNT_POINT, *binds]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_image(image: Path) -> list[str]:
    """Its Python is this environment's, under a path that only exists inside."""
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", "bookworm", str(image)],
        check=True,
        capture_output=True,
        timeout=600,
    )
    python = image / "opt/petl/venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho {MARK}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    binds = [str(ROOT), sys.prefix, sys.base_prefix]
    for folder in binds:
        (image / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return binds


@pytest.fixture
def places(prepared: Path) -> Iterator[Places]:
    """Where jobs see them: pytest's own folders lie in the host's /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="petl-places-", dir=MOUNT_POINT))
    shutil.copytree(prepared / "data", folder / "data")
    yield Places(folder / "runs", folder / "data", folder / "cache")
    shutil.rmtree(folder, ignore_errors=True)


def tiny(folder: Path, seed: int, epochs: int) -> Study:
    path = folder / "contained.yaml"
    path.write_text(STUDY.format(seed=seed, epochs=epochs))
    return load_study(path)


def submit(study: Study, places: Places, container: dict[str, Any], folder: Path) -> RunDir:
    asked = {"partition": "gpu", "cpus": 1, "mem_gb": 2, "time": 30, "signal_lead_s": 10}
    profile = folder / "cluster.yaml"
    profile.write_text(json.dumps({**asked, "container": container}))
    petl("submit", study.path, "--cluster", profile, "--yes", places=places)
    (run,) = runs(study, places)
    return run


def test_a_job_in_a_container_gives_the_numbers_of_this_machine_and_says_where_it_was(
    places: Places, in_cluster: DevCluster, container: dict[str, Any], tmp_path: Path
) -> None:
    study = tiny(tmp_path, 1, SHORT)
    run = submit(study, places, container, tmp_path)
    until(lambda: not in_cluster.run("squeue", "-h").strip(), 180)
    log = "".join(path.read_text() for path in places.runs.glob("*/slurm/*/*_log.out"))
    result = run.result()
    assert result is not None, log
    environment = result["environment"]
    assert environment["image"] == container["image"]
    assert environment["slurm"]["node"] in in_cluster.layout.node_names
    assert MARK in log or environment["base_image"]

    here = Places(tmp_path / "here", places.data, places.cache)
    local.run_local(Plan(study, here.runs), here, threads.cpus(), lambda remark: None)
    (other,) = runs(study, here)
    assert numbers(run) == numbers(other)


def test_a_job_told_to_leave_its_container_is_put_back_from_the_host(
    places: Places, in_cluster: DevCluster, container: dict[str, Any], tmp_path: Path
) -> None:
    """There is no scontrol in the image."""
    run = submit(tiny(tmp_path, 2, LONG), places, container, tmp_path)
    until(lambda: len(run.metrics()) > 1, 180)
    in_cluster.run("scancel", f"--signal={signal.SIGUSR2.name}", *element(in_cluster))
    until(lambda: (run.path / "resume.safetensors").exists(), 60)
    until(lambda: "BeginTime" in in_cluster.run("squeue", "-h", "-o", "%r"), 60)
    assert run.result() is None


def element(cluster: DevCluster) -> list[str]:
    return cluster.run("squeue", "-h", "-o", "%i").split()

"""Faults of the surroundings on a real Slurm: told by name, and put right by the next command."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_slurm import told_by
from small_disk import SmallDisk
from tiny import LONG, SHORT, Make, numbers, petl, runs, until

from petl.config.study import Study
from petl.places import Places
from petl.runs import claim as claims
from petl.runs.claim import holder
from slurm.devcluster import DevCluster
from slurm.status.plan import Plan

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

PROFILE = "{partition: gpu, gpus: 1, cpus: 1, mem_gb: 2, time: 30}\n"


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(PROFILE)
    return path


def kinds(study: Study, places: Places) -> list[str]:
    return [item.kind for item in Plan(study, places.runs).items]


@pytest.mark.parametrize("more", ["", ", requeue: false"])
def test_a_stopped_worker_is_silent_and_its_run_is_started_again(
    make: Make,
    places: Places,
    in_cluster: DevCluster,
    profile: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: str,
) -> None:
    profile.write_text(PROFILE.replace("}", f"{more}}}"))
    loaded = make("linear", "0", 150)
    petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    (run,) = runs(loaded, places)
    until(lambda: len(run.metrics()) > 1)
    os.kill(holder(run.claim_file)["pid"], signal.SIGSTOP)
    for name, value in {"SILENT_S": 1, "LATE_S": 0, "EPOCHS": 0}.items():
        monkeypatch.setattr(claims, name, value)
    until(lambda: kinds(loaded, places) == ["silent"], 30)
    reason = Plan(loaded, places.runs).items[0].state.reason
    assert reason.startswith("no sign of life since ") and " on node" in reason
    folders = [f"--{name}={folder}" for name, folder in vars(places).items()]
    assert "1 silent" in told_by("status", loaded.path, folders[0])
    again = told_by("retry", loaded.path, "--silent", "--yes", "--cluster", profile, *folders)
    assert ("submitted 1 run" if more else "requeued 1 run") in again
    monkeypatch.undo()
    monkeypatch.setenv("SLURM_CONF", str(in_cluster.layout.slurm_conf))
    until(run.result_file.exists, 120)
    here = Places(tmp_path / "here", places.data, places.cache)
    petl("submit", loaded.path, "--local", 1, places=here)
    assert numbers(run) == numbers(runs(loaded, here)[0])
    assert not run.failure_file.exists()


@contextmanager
def without(cluster: DevCluster, *daemons: str) -> Iterator[None]:
    for name in daemons:
        cluster.kill_daemon(name)
    try:
        yield
    finally:
        for name in reversed(daemons):
            cluster.start_daemon(name)


@pytest.mark.parametrize("daemon", ["slurmctld", "munged"])
def test_a_controller_that_is_away_is_waited_for_10_s(
    make: Make, places: Places, in_cluster: DevCluster, profile: Path, daemon: str
) -> None:
    loaded = make("linear", "[0, 1]", LONG)
    profile.write_text(PROFILE.replace("}", ", sbatch: {hold: true}}"))
    petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    with without(in_cluster, daemon):
        began = time.monotonic()
        told = petl("status", loaded.path, places=places)
        assert time.monotonic() - began < 20  # of a busy machine, Python's start included
        assert "2 unknown" in told and "this is what the files say" in told
        told = petl("cancel", loaded.path, "--yes", places=places, code=2)
        assert "it is not known what is queued" in told
    assert kinds(loaded, places) == ["pending", "pending"]


def configured(cluster: DevCluster, change: Callable[[str], str]) -> None:
    conf = cluster.layout.slurm_conf
    conf.write_text(change(conf.read_text()))
    cluster.run("scontrol", "reconfigure")


def test_a_job_that_its_node_could_not_start_goes_elsewhere(
    make: Make, places: Places, in_cluster: DevCluster, profile: Path, tmp_path: Path
) -> None:
    """The prolog fails on node1. Slurm holds the job, and drains the node."""
    prolog = in_cluster.folder / "prolog.sh"
    prolog.write_text('#!/bin/sh\n[ "$SLURMD_NODENAME" != node1 ]\n')
    prolog.chmod(0o755)
    line = f"\nProlog={prolog}\n"
    configured(in_cluster, lambda text: text + line)
    try:
        loaded = make("linear", "0", SHORT)
        petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
        until(lambda: "could not start it" in petl("status", loaded.path, places=places))
        told = petl("retry", loaded.path, "--cluster", profile, "--yes", places=places)
        assert "released 1 held run, away from node1" in told
        assert "node1" in in_cluster.run("squeue", "-h", "-o", "%x")
        (run,) = runs(loaded, places)
        until(run.result_file.exists, 60)
    finally:
        configured(in_cluster, lambda text: text.replace(line, ""))
        in_cluster.run("scontrol", "update", "NodeName=node1", "State=RESUME")


def test_what_a_full_disk_has_stopped_is_submitted_again(
    make: Make, places: Places, in_cluster: DevCluster, profile: Path, small_disk: SmallDisk
) -> None:
    places = Places(small_disk.folder / "runs", places.data, places.cache)
    profile.write_text(PROFILE.replace("}", ", throttle: 1}"))
    loaded = make("linear", "[0, 1, 2]", 60)
    first, *_ = runs(loaded, places)
    petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    until(first.metrics)
    small_disk.fill()
    until(lambda: not in_cluster.run("squeue", "-h").strip(), 90)
    until(lambda: not {"unknown", "running"} & set(kinds(loaded, places)), 30)
    told = petl("status", loaded.path, places=places)
    assert f"warning: {places.runs}: the disk is full" in told and "3 stopped" in told
    for item in Plan(loaded, places.runs).items:
        assert item.state.cause in ("disk-full", "file-system"), item.state
    small_disk.free()
    petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    until(lambda: kinds(loaded, places) == ["done"] * 3, 120)

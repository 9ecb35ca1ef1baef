"""A real Slurm for the tests that want one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fake_slurm import Slurm
from small_disk import SmallDisk
from tiny import SHORT, Make, write_study

from petl.config.study import Study
from petl.places import Places
from slurm import scheduler
from slurm.devcluster import ClusterError, DevCluster
from slurm.devcluster.packages import why_unavailable


@pytest.fixture(scope="session")
def cluster() -> Iterator[DevCluster]:
    """One for all tests of the session; CI must have it, elsewhere its tests skip without it."""
    if reason := why_unavailable():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has no Slurm: {reason}")
        pytest.skip(f"no Slurm here: {reason}")
    # not pytest's own folder: what lies in there is hidden from other users, munged refuses that
    folder = Path(tempfile.mkdtemp(prefix="petl-slurm-"))
    try:
        with DevCluster(folder) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def in_cluster(cluster: DevCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[DevCluster]:
    """This process and what it starts see the cluster; what the test leaves running is ended."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.layout.slurm_conf))
    before = _jobs(cluster)
    yield cluster
    end = time.monotonic() + 30
    while left := _jobs(cluster) - before:
        with suppress(ClusterError):  # some may just have ended
            cluster.run("scancel", "--full", "--signal=KILL", *left)
            cluster.run("scancel", *left)  # those that do not run yet, or wait to run again
        assert time.monotonic() < end, f"jobs {left} do not end"
        time.sleep(0.2)


def _jobs(cluster: DevCluster) -> set[str]:
    """An array counts as one."""
    return set(cluster.run("squeue", "--noheader", "--format=%A").split())


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made sounds, decoded once for all tests here."""
    from petl.data.load import prepare

    folder = tmp_path_factory.mktemp("prepared")
    study = write_study(folder / "study.yaml", "linear", "0", SHORT)
    prepare(study.tasks[0].dataset, Places(folder, folder / "data", folder / "cache"))
    return folder


@pytest.fixture
def places(prepared: Path, tmp_path: Path) -> Places:
    return Places(tmp_path / "runs", prepared / "data", prepared / "cache")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(methods: str, folds: str, epochs: int, more: str = "") -> Study:
        return write_study(tmp_path / "tiny.yaml", methods, folds, epochs, more)

    return write


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    monkeypatch.setattr(scheduler, "ASK_S", 0.6)
    monkeypatch.setattr(scheduler, "_unanswered_s", 0.0)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("CI may not mount a small disk")
        pytest.skip("may not mount a small disk here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

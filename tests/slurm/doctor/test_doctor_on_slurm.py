"""`petl doctor` on a real Slurm: the probe job runs, and nothing of it is left."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from doctor_cases import CPU, doctor, profile
from tiny import start, until

from slurm.devcluster import DevCluster

pytestmark = pytest.mark.slurm


def test_a_good_profile_has_no_problems_and_nothing_of_the_probe_is_left(
    tmp_path: Path, in_cluster: DevCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETL_GIT_COMMIT", "0" * 40)  # a checkout may be edited meanwhile
    monkeypatch.setattr("slurm.doctor.software.git_commit", lambda: "0" * 40)
    result = doctor(tmp_path, "--cluster", profile(tmp_path, CPU), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)["findings"]
    assert [one for one in found if one["level"] != "ok"] == []
    told = "\n".join(one["text"] for one in found if one["group"] == "On a node")
    for expected in (
        "petl 0.1.0, commit 000000000000",
        "the node sees the same folders: runs, data, cache",
        "SIGUSR2, sent before the time limit, reached Python",
        "SIGTERM, sent at preemption, reached Python",
        "the interrupted job was in the queue again",
    ):
        assert expected in told
    assert not in_cluster.run("squeue", "-h").strip()
    for name in ("runs", "data", "cache"):
        assert not list((tmp_path / name).iterdir())


def test_a_broken_profile_fails_in_every_way_at_once_and_sends_no_job(
    tmp_path: Path, in_cluster: DevCluster
) -> None:
    container = {"kind": "apptainer", "image": "/no.sif"}
    path = profile(tmp_path, CPU | {"partition": "gup", "container": container})
    result = doctor(Path("/srv"), "--cluster", path)  # a folder short enough for a line
    assert result.exit_code == 1
    for expected in (
        "failure there is no partition 'gup'; did you mean 'gpu'?",
        "failure Slurm refuses a job of this profile: sbatch: invalid partition specified: gup",
        "failure /no.sif does not exist",
        "warning no probe job was submitted",
    ):
        assert expected in " ".join(result.output.split())
    assert max(map(len, result.output.splitlines())) <= 80
    assert not in_cluster.run("squeue", "-h").strip()


def test_without_a_runs_folder_no_job_is_sent(tmp_path: Path, in_cluster: DevCluster) -> None:
    (tmp_path / "runs").touch()
    result = doctor(tmp_path, "--cluster", profile(tmp_path, CPU))
    assert result.exit_code == 1 and "no probe job was submitted" in result.output, result.output


def test_a_probe_that_stays_pending_is_cancelled(tmp_path: Path, in_cluster: DevCluster) -> None:
    held = profile(tmp_path, CPU | {"sbatch": {"hold": True}})
    result = doctor(tmp_path, "--cluster", held, "--wait", 0.01)
    assert result.exit_code == 0, result.output
    assert "did not start within 1 s (JobHeldUser); petl cancelled it" in result.output
    assert not in_cluster.run("squeue", "-h").strip()


def test_a_doctor_that_is_interrupted_takes_its_job_along(
    tmp_path: Path, in_cluster: DevCluster
) -> None:
    held = profile(tmp_path, CPU | {"sbatch": {"hold": True}})
    process = start("doctor", "--cluster", held, "--runs", tmp_path / "runs")
    until(lambda: in_cluster.run("squeue", "-h").strip(), 30)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "petl cancelled the probe job" in err
    assert not in_cluster.run("squeue", "-h").strip()
    assert not list((tmp_path / "runs").iterdir())


def test_a_job_that_dies_is_quoted(tmp_path: Path, in_cluster: DevCluster) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'FATAL: cannot open the image'\nexit 255\n")
    python.chmod(0o755)
    path = profile(tmp_path, CPU | {"container": {"kind": "venv", "python": str(python)}})
    result = doctor(tmp_path, "--cluster", path)
    assert result.exit_code == 1
    assert "ended too early (failed)" in " ".join(result.output.split())
    assert "-> its last output: FATAL: cannot open the image" in result.output

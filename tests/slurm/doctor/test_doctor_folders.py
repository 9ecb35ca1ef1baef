"""`petl doctor`: folders, images and packages of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from doctor_cases import CPU, context, texts

from slurm.doctor import folders
from slurm.doctor.findings import run_checks
from slurm.doctor.software import unrelated_petl


def test_a_folder_that_cannot_be_made_and_files_that_do_not_exist_are_failures(
    tmp_path: Path,
) -> None:
    (tmp_path / "runs").touch()
    container = {"kind": "apptainer", "image": "/no/petl.sif"}
    profile = CPU | {"container": container}
    found = run_checks((*folders.FOLDERS, *folders.CONTAINER), context(tmp_path, profile))
    assert texts(found).splitlines() == [
        f"runs folder {tmp_path}/runs: not a directory",
        "/no/petl.sif does not exist",
    ]


def test_a_full_disk_is_a_failure(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=100", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        (finding,) = run_checks([folders.room], context(small))
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert finding.level == "failure" and "too little room for 4.19 MB" in finding.text


def test_the_unrelated_package_called_petl_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unrelated_petl() is None
    (tmp_path / "petl-1.7.15.dist-info").mkdir()
    (tmp_path / "petl-1.7.15.dist-info" / "METADATA").write_text("Name: petl\nVersion: 1.7.15\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert f"petl 1.7.15 is in {tmp_path}" in (unrelated_petl() or "")

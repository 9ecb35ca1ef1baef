"""The job script is a function of the profile and the array: read the golden files to judge it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from petl.places import Places
from slurm.call import python_arguments
from slurm.submit.profile import Profile
from slurm.submit.script import Array, job_script

GOLDEN = Path(__file__).parents[1] / "golden"
PLACES = Places(Path("/scratch/runs"), Path("/scratch/data"), Path("/scratch/my cache"))
FOLDER = Path("/scratch/runs/table1/slurm/261120-1311-fd6285")
ARRAY = Array(
    name="petl-table1-261120-1311-fd6285-0",
    size=40,
    at_a_time=8,
    mem_gb=24.5,
    folder=FOLDER,
    call=python_arguments(
        "slurm.node.job:array_job", FOLDER / "manifest.jsonl", 0, PLACES.data, PLACES.cache
    ),
    places=PLACES,
)
IMAGE = {"image": "/images/petl-ast.sif", "binds": ["/project"]}
PROFILES = {
    "venv": {"cpus": 4, "container": {"kind": "venv", "python": "/opt/petl/bin/python"}},
    "apptainer": {
        "partition": "gpu",
        "account": "lab",
        "qos": "normal",
        "constraint": "a100|h100",
        "gpu_type": "a100",
        "cpus": 8,
        "container": {"kind": "apptainer", **IMAGE, "options": ["--cleanenv"]},
        "setup": ["module load apptainer"],
        "sbatch": {"exclude": "node[01-02]", "mail-type": "FAIL"},
    },
    "pyxis": {"container": {"kind": "pyxis", **IMAGE, "options": ["--no-container-mount-home"]}},
    "charliecloud": {"gpus": 0, "container": {"kind": "charliecloud", **IMAGE}},
    "no-requeue": {
        "requeue": False,
        "container": {"kind": "venv", "python": "/opt/petl/bin/python"},
    },
}


@pytest.mark.parametrize("name", PROFILES)
def test_the_script_is_the_one_that_somebody_has_read(name: str) -> None:
    """PETL_WRITE_GOLDEN=1 writes them anew; the difference is then for a person to judge."""
    profile = Profile.model_validate({"time": "12:00:00", **PROFILES[name]})
    golden, text = GOLDEN / f"{name}.sh", job_script(profile, ARRAY)
    if os.environ.get("PETL_WRITE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.sh")), ids=lambda path: path.stem)
def test_the_script_is_bash(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)


STUBS = {
    "srun": "exit $WORKER",
    "squeue": "echo $STATE",
    "scontrol": 'echo "$@" >> $TOLD',
}


@pytest.mark.parametrize(
    ("worker", "state", "asked"),
    [
        (0, "RUNNING", ""),
        (1, "RUNNING", ""),
        (75, "RUNNING", "requeue 7_3\n"),
        (143, "RUNNING", "requeue 7_3\n"),
        (75, "COMPLETING", ""),  # cancelled: it is to stay so
        (76, "RUNNING", "hold 7\n"),
        (137, "RUNNING", ""),
    ],
)
def test_what_the_host_does_about_the_workers_end(
    tmp_path: Path, worker: int, state: str, asked: str
) -> None:
    for name, line in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    told = tmp_path / "told"
    told.touch()
    variables = {"PATH": f"{tmp_path}:/bin:/usr/bin", "TOLD": str(told), "STATE": state}
    variables |= {"WORKER": str(worker), "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    ended = subprocess.run([shutil.which("bash") or "bash", GOLDEN / "venv.sh"], env=variables)
    assert (ended.returncode, told.read_text()) == (worker, asked)

"""Profiles, clusters and facts for the tests of `petl doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from petl.cli import app
from petl.places import Places
from slurm.doctor.findings import Context, Finding
from slurm.doctor.slurm_info import SlurmInfo
from slurm.doctor.software import software
from slurm.submit.profile import load_profile

PINNED = ["sm_37", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86"]
"""What torch 1.13.1 for CUDA 11.7 has kernels for."""
GPU = {"partition": "gpu", "gpus": 1, "cpus": 1, "mem_gb": 2, "time": 60}
CPU = GPU | {"gpus": 0}

CONFIG = """\
AccountingStorageEnforce = associations,limits,qos
ClusterName             = hill
KillWait                = 30 sec
MaxArraySize            = 1001
SLURM_VERSION           = 23.02.7
"""
PARTITIONS = """\
PartitionName=gpu Default=YES QoS=N/A MaxTime=1-00:00:00 State=UP
PartitionName=spare Default=NO QoS=N/A MaxTime=UNLIMITED State=UP
"""
HILL = {
    "sbatch": "echo slurm 23.02.7",
    "squeue": "true",
    "sacct": "true",
    "sinfo": "echo 'gpu|gpu:a100:4'; echo 'spare|gpu:v100:2'",
    "scontrol": f"case $* in *partition) echo '{PARTITIONS}';; *) echo '{CONFIG}';; esac",
    "sacctmgr": "case $* in *assoc*) echo 'lab|normal|';; *) echo 'normal|12:00:00';; esac",
}
"""A cluster of shell scripts, for what a real one cannot be made to do at will."""


def profile(folder: Path, settings: dict[str, Any]) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(repr(settings).replace("'", '"').replace("True", "true"))
    return path


def context(
    folder: Path, settings: dict[str, Any] = GPU, slurm: SlurmInfo | None = None
) -> Context:
    places = Places(folder / "runs", folder / "data", folder / "cache")
    loaded = load_profile(str(profile(folder, settings)))
    return Context("here", loaded, places, slurm or SlurmInfo(timeout_s=5))


def texts(findings: Iterable[Finding], level: str = "failure") -> str:
    return "\n".join(one.text for one in findings if one.level == level)


def doctor(folder: Path, *arguments: object) -> Result:
    options = [f"--{name}={folder / name}" for name in ("runs", "data", "cache")]
    return CliRunner().invoke(app, ["doctor", *options, *map(str, arguments)])


def facts(name: str = "NVIDIA A100", capability: tuple[int, int] = (8, 0)) -> dict[str, Any]:
    """As a probe on a healthy node writes them."""
    gpu = {"name": name, "capability": list(capability), "bytes": 80e9}
    torch = {"version": "1.13.1+cu117", "cuda": "11.7", "built_for": PINNED, "error": None}
    return {
        **software(),
        **{"node": "n1", "job": "7", "import_errors": {}},
        "folders": {"runs": None},
        "torch": torch | {"gpus": [gpu]},
    }

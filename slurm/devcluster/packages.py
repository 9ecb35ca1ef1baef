"""What has to be installed, and `--install`."""

from __future__ import annotations

import os
import shutil
import subprocess

from petl.errors import UserError
from slurm.devcluster.daemons import PATH

PACKAGES = {
    "slurm-wlm": "slurmctld",
    "slurmdbd": "slurmdbd",
    "munge": "munged",
    "mariadb-server": "mariadbd",
}
"""Debian's packages, each with a program by which to tell that it is installed."""


def missing() -> list[str]:
    return [name for name, program in PACKAGES.items() if not shutil.which(program, path=PATH)]


def install(packages: list[str]) -> None:
    names = " ".join(packages)
    if os.geteuid():
        raise UserError(f"only root can install {names}; run petl with sudo")
    if not shutil.which("apt-get", path=PATH):
        raise UserError(f"this machine has no apt-get; install {names} with its own tool")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", "-qq", *command], env=quiet).returncode:
            raise UserError(f"apt-get {' '.join(command)} failed; see its output above")


def why_unavailable() -> str | None:
    """Why a cluster cannot start here, in one line; None if it can."""
    if os.geteuid():
        return "a development cluster needs root: Slurm's daemons start jobs as other users"
    if absent := " ".join(missing()):
        todo = f"`apt-get install {absent}` or `petl devcluster up --install`"
        return f"not installed: {absent}; on Debian or Ubuntu, {todo}"
    return None

"""What has to be installed, and installing it if one says so."""

from __future__ import annotations

import os
import shutil
import subprocess

from petl.errors import UserError
from slurm.devcluster.daemons import PATH

# a program of each package, by which one knows that it is there
PACKAGES = {
    "slurmctld": "slurm-wlm",
    "slurmdbd": "slurmdbd",
    "munged": "munge",
    "mariadbd": "mariadb-server",
}


def missing() -> list[str]:
    return [
        package for program, package in PACKAGES.items() if not shutil.which(program, path=PATH)
    ]


def install(packages: list[str]) -> None:
    """With Debian's own tool, whose complaints the user sees."""
    if os.geteuid():
        raise UserError(f"only root can install {' '.join(packages)}")
    if not shutil.which("apt-get", path=PATH):
        raise UserError(f"there is no apt-get here to install {' '.join(packages)} with")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", "-qq", *command], env=quiet).returncode:
            raise UserError(f"apt-get {' '.join(command)} failed; what it printed is above")


def why_not() -> str | None:
    """One line on what keeps a cluster from starting here, or None."""
    if os.geteuid():
        return "this needs root: Slurm's daemons start jobs in their users' names"
    if absent := " ".join(missing()):
        here = f"`apt-get install {absent}` or `petl devcluster up --install`"
        return f"not installed: {absent}; {here} on Debian or Ubuntu"
    return None

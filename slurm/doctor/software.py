"""The Python that reads this, and whether it is ours; asked the same on both sides of a job."""

from __future__ import annotations

import platform
import shutil
import site
import socket
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import petl
import slurm
from petl.runs.provenance import git_commit, lock_hash
from slurm.doctor.findings import Finding, Patient, failure, ok, warning

SAME = ("submitit", "cloudpickle")
"""Write and read what a job is."""


def software() -> dict[str, Any]:
    """For JSON: it is compared with the other side's."""
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "petl": petl.__version__,
        "commit": git_commit(),
        "lock": lock_hash(),
        **{name: _version(name) for name in SAME},
        "shadow": shadow(),
        "user_site": from_user_site(),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def shadow() -> str | None:
    """PyPI has an unrelated package called petl, whose files may lie over or before ours."""
    if found := _version("petl"):
        where = metadata.distribution("petl").locate_file("")
        return f"PyPI's unrelated package petl {found} is installed in {where}"
    ours, theirs = Path(slurm.__file__).parent.parent, Path(petl.__file__).parent.parent
    if ours.resolve() != theirs.resolve():
        return f"petl comes from {theirs}, but slurm from {ours}"
    return None


def from_user_site() -> list[str]:
    """What Python takes from ~/.local, in a container too, in the place of what is installed."""
    if not site.ENABLE_USER_SITE or not Path(site.getusersitepackages()).is_dir():
        return []
    own = metadata.distributions(path=[site.getusersitepackages()])
    return sorted({found.metadata["Name"] for found in own if found.metadata["Name"]})


def ours(patient: Patient) -> Iterator[Finding]:
    if found := shadow():
        yield failure(found, "pip uninstall petl, then pip install --force-reinstall petl-ast")
    else:
        yield ok(f"petl {petl.__version__} from {Path(petl.__file__).parent.parent}")


def command(patient: Patient) -> Iterator[Finding]:
    """The `petl` that a shell finds may be another environment's, or the unrelated package's."""
    found, here = shutil.which("petl"), Path(sys.executable).parent
    if found and Path(found).parent.resolve() != here.resolve():
        yield warning(f"`petl` in this shell is {found}", f"put {here} first in PATH")


def packages(patient: Patient) -> Iterator[Finding]:
    facts = software()
    versions = ", ".join(f"{name} {facts[name]}" for name in ("python", *SAME))
    yield ok(f"{versions}, commit {(facts['commit'] or 'unknown')[:12]}")
    if facts["user_site"]:
        yield user_site_warning(facts["user_site"])


def user_site_warning(names: list[str]) -> Finding:
    some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    said = f"Python takes {len(names)} packages from ~/.local: {some}"
    return warning(said, "PYTHONNOUSERSITE=1, in the profile's `setup:` too")


SOFTWARE = (ours, command, packages)

"""Which Python and which petl this is; the same questions here and inside the probe job."""

from __future__ import annotations

import os
import platform
import site
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import petl
from petl.runs.provenance import git_commit, lock_hash
from slurm.doctor.findings import Context, Finding, failure, ok, warning


def software() -> dict[str, Any]:
    """As JSON, to compare both sides."""
    return {
        "python": platform.python_version(),
        "petl": petl.__version__,
        "commit": git_commit(),
        "lock": lock_hash(),
        "image": os.environ.get("PETL_IMAGE"),
        "shadow": shadow(),
        "user_site": from_user_site(),
    }


def shadow() -> str | None:
    """PyPI has an unrelated package called petl, whose files can lie over or before ours."""
    with suppress(metadata.PackageNotFoundError):
        theirs = metadata.distribution("petl")
        where = theirs.locate_file("")
        return f"PyPI's unrelated package petl {theirs.version} is installed in {where}"
    return None


def from_user_site() -> list[str]:
    """Packages in ~/.local: Python prefers them, in a container too, to those of its environment.

    It is off where PYTHONNOUSERSITE is set, and in a virtual environment.
    """
    if not site.ENABLE_USER_SITE or not Path(site.getusersitepackages()).is_dir():
        return []
    own = metadata.distributions(path=[site.getusersitepackages()])
    return sorted({found.metadata["Name"] for found in own if found.metadata["Name"]})


def software_findings(facts: dict[str, Any], side: str) -> Iterator[Finding]:
    if facts["shadow"]:
        todo = "pip uninstall petl, then pip install --force-reinstall petl-ast"
        yield failure(f"{facts['shadow']} ({side})", todo)
    if names := facts["user_site"]:
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        text = f"Python takes {len(names)} packages from ~/.local {side}: {some}"
        yield warning(text, "set PYTHONNOUSERSITE=1, in the profile's `setup:` too")
    commit, lock = ((facts[key] or "unknown")[:12] for key in ("commit", "lock"))
    image = f", image {facts['image']}" if facts["image"] else ""
    versions = f"Python {facts['python']}, petl {facts['petl']}"
    yield ok(f"{versions}, commit {commit}, lock {lock}{image} {side}")


def this_software(context: Context) -> Iterator[Finding]:
    return software_findings(software(), "here")


SOFTWARE = (this_software,)

"""Which Python and which petl this is; the same questions here and inside the probe job."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from typing import Any

import petl
from petl.runs.provenance import git_commit, lock_hash
from slurm.doctor.findings import Context, Finding, failure, ok


def software() -> dict[str, Any]:
    """As JSON, to compare both sides."""
    return {
        "python": platform.python_version(),
        "petl": petl.__version__,
        "commit": git_commit(),
        "lock": lock_hash(),
        "image": os.environ.get("PETL_IMAGE"),
        "unrelated": unrelated_petl(),
    }


def unrelated_petl() -> str | None:
    """PyPI has another package called petl, whose files can lie over or before ours."""
    with suppress(metadata.PackageNotFoundError):
        other = metadata.distribution("petl")
        return f"PyPI's unrelated package petl {other.version} is in {other.locate_file('')}"
    return None


def software_findings(facts: dict[str, Any], side: str) -> Iterator[Finding]:
    if facts["unrelated"]:
        todo = "pip uninstall petl, then pip install --force-reinstall petl-ast"
        yield failure(f"{facts['unrelated']} ({side})", todo)
    commit, lock = ((facts[key] or "unknown")[:12] for key in ("commit", "lock"))
    image = f", image {facts['image']}" if facts["image"] else ""
    versions = f"Python {facts['python']}, petl {facts['petl']}"
    yield ok(f"{versions}, commit {commit}, lock {lock}{image} {side}")


def this_software(context: Context) -> Iterator[Finding]:
    return software_findings(software(), "here")


SOFTWARE = (this_software,)

"""Where a result came from: code, locked packages, machine. Written into every result.json."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import petl


def environment() -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    return {
        "petl": petl.__version__,
        "git_commit": _git_commit(),
        "lock_hash": os.environ.get("PETL_LOCK_HASH") or _lock_hash(),
        "image": os.environ.get("PETL_IMAGE"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if gpu else None,
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "threads": torch.get_num_threads(),
        "host": socket.gethostname(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
    }


def _git_commit() -> str | None:
    """The image says it; a checkout knows it. `-dirty` marks changes that no commit holds."""
    if said := os.environ.get("PETL_GIT_COMMIT"):
        return said
    command = [
        "git",
        "-C",
        str(Path(petl.__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _lock_hash() -> str | None:
    """What docker/make_env.sh left in the environment; an image has it in PETL_LOCK_HASH."""
    try:
        return (Path(sys.prefix) / "lock.sha256").read_text().strip()
    except OSError:
        return None

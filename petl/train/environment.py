"""Where a result came from: code, locked packages, machine. Written into every result.json."""

from __future__ import annotations

import os
import platform
import socket
from typing import Any

import torch

import petl
from petl.provenance import git_commit, lock_hash


def environment() -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    return {
        "petl": petl.__version__,
        "git_commit": git_commit(),
        "lock_hash": lock_hash(),
        "image": os.environ.get("PETL_IMAGE"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if gpu else None,
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "threads": torch.get_num_threads(),
        "host": socket.gethostname(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
    }

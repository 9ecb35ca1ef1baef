"""Where a result came from: code, locked packages, machine. Written into every result.json."""

from __future__ import annotations

import os
import platform
import resource
import socket
from typing import Any

import torch

import petl
from petl.runs.provenance import base_image, git_commit, lock_hash


def environment() -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    return {
        "petl": petl.__version__,
        "git_commit": git_commit(),
        "lock_hash": lock_hash(),
        "image": os.environ.get("PETL_IMAGE"),
        "base_image": base_image(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if gpu else None,
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "threads": torch.get_num_threads(),
        "host": socket.gethostname(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "slurm": _slurm(),
    }


def _slurm() -> dict[str, Any] | None:
    """What the scheduler says in a job's environment; its memory is what this process took."""
    said = os.environ.get
    if not (job := said("SLURM_JOB_ID")):
        return None
    array, element = said("SLURM_ARRAY_JOB_ID"), said("SLURM_ARRAY_TASK_ID")
    wait = said("PETL_WAIT_S")
    return {
        "job_id": f"{array}_{element}" if array else job,
        "cluster": said("SLURM_CLUSTER_NAME"),
        "partition": said("SLURM_JOB_PARTITION"),
        "node": said("SLURMD_NODENAME"),
        "gpus": len([gpu for gpu in (said("SLURM_JOB_GPUS") or "").split(",") if gpu]),
        "restarts": int(said("SLURM_RESTART_COUNT") or 0),
        "wait_s": float(wait) if wait else None,
        "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }

"""Where a result comes from: the commit, the lock file, the image, the machine and the job."""

from __future__ import annotations

import os
import platform
import re
import resource
import socket

import petl
from petl.runs.code.archive import running
from petl.runs.code.checkout import left_behind
from petl.runs.code.tries import CodeOfTries, RunCode
from petl.runs.machine import driver
from petl.runs.result import Environment, SlurmJob


def environment(code: RunCode | None = None) -> Environment:
    """Where a result comes from, for result.json: code, locked packages, machine, job.

    `code` is that of all tries of a run; without it, that of this process.
    """
    import torch

    gpu = torch.cuda.is_available()
    code = code or CodeOfTries(running()).to_json()
    return {
        "petl": petl.__version__,
        "git_commit": code["commit"],
        "code": code,
        "lock_hash": lock_hash(),
        "image": without_secrets(os.environ.get("PETL_IMAGE", "")) or None,
        "base_image": base_image(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if gpu else None,
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "driver": driver(),
        "threads": torch.get_num_threads(),
        "host": socket.gethostname(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "slurm": _slurm(),
    }


def without_secrets(image: str) -> str:
    """An image's address without what may log in: `user:password@` and `?token=...`.

    The `@` of a digest stays: `registry/image@sha256:...`. So does a file's path.
    """
    if image.startswith(("/", ".")):
        return image
    return re.sub(r"^(\w+://)?.*@(?!sha\d+:)", r"\1", image.partition("?")[0])


def _slurm() -> SlurmJob | None:
    """The job as its environment describes it, and the memory that this process took."""
    get = os.environ.get
    if not (job := get("SLURM_JOB_ID")):
        return None
    array, element = get("SLURM_ARRAY_JOB_ID"), get("SLURM_ARRAY_TASK_ID")
    wait = get("PETL_WAIT_S")
    return {
        "job_id": f"{array}_{element}" if array else job,
        "cluster": get("SLURM_CLUSTER_NAME"),
        "partition": get("SLURM_JOB_PARTITION"),
        "node": get("SLURMD_NODENAME"),
        "gpus": len([gpu for gpu in (get("SLURM_JOB_GPUS") or "").split(",") if gpu]),
        "restarts": int(get("SLURM_RESTART_COUNT") or 0),
        "wait_s": float(wait) if wait else None,
        "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def git_commit() -> str | None:
    """Of the code that this process imports; `-dirty` marks uncommitted changes."""
    return running().commit


def lock_hash() -> str | None:
    return os.environ.get("PETL_LOCK_HASH") or left_behind("lock.sha256")


def base_image() -> str | None:
    """The image that ours was built from. With the commit and the lock, it defines the image."""
    return left_behind("base-image")

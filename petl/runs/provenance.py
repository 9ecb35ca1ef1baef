"""Which code and which lock this is, without importing anything heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import petl


def git_commit() -> str | None:
    """An image was told; a checkout knows it. `-dirty` marks changes that no commit holds."""
    if said := os.environ.get("PETL_GIT_COMMIT") or _left_behind("git-commit"):
        return said
    folder = str(Path(petl.__file__).parent)
    command = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def lock_hash() -> str | None:
    return os.environ.get("PETL_LOCK_HASH") or _left_behind("lock.sha256")


def base_image() -> str | None:
    """What an image was built upon. With the commit and the lock, all that it is made of."""
    return _left_behind("base-image")


def _left_behind(name: str) -> str | None:
    """By the Dockerfile or docker/make_env.sh, in the environment that they made."""
    try:
        return (Path(sys.prefix) / name).read_text().strip() or None
    except OSError:
        return None

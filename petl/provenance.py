"""Which code and which lock this is, without importing anything heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import petl


def git_commit() -> str | None:
    """The image says it; a checkout knows it. `-dirty` marks changes that no commit holds."""
    if said := os.environ.get("PETL_GIT_COMMIT"):
        return said
    folder = str(Path(petl.__file__).parent)
    command = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def lock_hash() -> str | None:
    """An image has it in PETL_LOCK_HASH; docker/make_env.sh left it in the environment."""
    if said := os.environ.get("PETL_LOCK_HASH"):
        return said
    try:
        return (Path(sys.prefix) / "lock.sha256").read_text().strip()
    except OSError:
        return None

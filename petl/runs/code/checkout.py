"""What git knows of the code: its commit, and how it differs from it."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT_S = 10
MOST = 2**20
"""Bytes of a difference that are kept; the archive has all of the code."""


def image_commit() -> str | None:
    """The commit that an image was built from."""
    return os.environ.get("PETL_GIT_COMMIT") or left_behind("git-commit")


def left_behind(name: str) -> str | None:
    """A file that the Dockerfile or docker/make_env.sh wrote into the environment."""
    try:
        return (Path(sys.prefix) / name).read_text().strip() or None
    except OSError:
        return None


def commit_of(
    root: Path, files: Mapping[str, bytes], folders: Sequence[str]
) -> tuple[str | None, bytes]:
    """The commit, with `-dirty` if the code differs from it, and the difference.

    None where this is no checkout: a folder of packages may lie inside a repository of its user.
    """
    found = _git(root, "rev-parse", "HEAD", "HEAD:./petl/__init__.py")
    if found is None:
        return None, b""
    commit = found.split()[0].decode()
    tracked = set((_git(root, "ls-files", "-z", "--", *folders) or b"").decode().split("\0"))
    plain = ("--relative", "--no-color", "--no-ext-diff", "--no-textconv")
    change = _git(root, "diff", *plain, "HEAD", "--", *folders) or b""
    for name in sorted(files.keys() - tracked):
        lines = files[name].decode(errors="replace").splitlines(keepends=True)
        change += "".join(difflib.unified_diff([], lines, "/dev/null", f"b/{name}")).encode()
    if not change:
        return commit, b""
    return f"{commit}-dirty", f"Differs from commit {commit}\n\n".encode() + change[:MOST]


def _git(root: Path, *words: str) -> bytes | None:
    """What it prints; None if it fails or is not installed."""
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout

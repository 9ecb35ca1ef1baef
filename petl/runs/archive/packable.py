"""Which runs can be packed, and the files that are kept of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from petl.errors import UserError, reason
from petl.runs.archive.format import LEVELS, RUN_ID
from petl.runs.claim import is_alive
from petl.runs.directory import RunDir

AT_WORK = "still being worked on"
NOT_KEPT = frozenset(
    {"claim.json", "resume.safetensors", "resume.before.safetensors", "resume.new.safetensors"}
)
"""Files that a finished run does not need."""


class Unpackable(Exception):
    """Why a run stays a folder."""


def run_folders(study: Path, wanted: Collection[str] | None) -> Iterator[RunDir]:
    if not study.is_dir():
        raise UserError(f"{study}: there are no runs; choose the folder with --runs or PETL_RUNS")
    with os.scandir(study) as entries:
        names = sorted(entry.name for entry in entries if RUN_ID.fullmatch(entry.name))
    yield from (RunDir(study / name) for name in names if wanted is None or name in wanted)


def files_of(folder: Path, prefix: str = "") -> dict[str, Path]:
    """The files of a run that are kept, by name."""
    if prefix.count("/") >= LEVELS:
        raise Unpackable(f"contains over {LEVELS} levels of folders")
    files: dict[str, Path] = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                files |= files_of(Path(entry.path), f"{name}/")
            elif not entry.is_file(follow_symlinks=False):
                raise Unpackable("contains something that is not a plain file")
            elif name not in NOT_KEPT and not name.startswith("."):
                files[name] = Path(entry.path)
    return files


def finished(run: RunDir) -> dict[str, Path]:
    if run.path.is_symlink():
        raise Unpackable(f"{run.path.name} is a link, and petl packs folders")
    try:
        files = files_of(run.path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unpackable(f"{run.path.name}: {reason(error)}") from None
    if run.result_file.name not in files or run.task_file.name not in files:
        raise Unpackable("unfinished")
    if is_alive(run.claim_file):
        raise Unpackable(AT_WORK)
    return files

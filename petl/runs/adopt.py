"""Runs of a study that has another name now: a run's id does not depend on the name."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from petl.errors import UserError, reason
from petl.runs.directory import Runs


def elsewhere(wanted: Iterable[str], own: Path) -> dict[str, list[str]]:
    """The other studies that have finished some of these runs, if our own folder has no run."""
    if Runs(own) or not own.parent.is_dir():
        return {}
    ids, found = set(wanted), {}
    for folder in sorted(own.parent.iterdir()):
        if folder.is_dir() and folder != own and (ready := finished(ids, folder)):
            found[folder.name] = ready
    return found


def finished(ids: Collection[str], folder: Path) -> list[str]:
    """Those with a result in a folder of their own; packed ones are not moved."""
    there = Runs(folder).loose.intersection(ids)
    return sorted(run_id for run_id in there if (folder / run_id / "result.json").is_file())


def adopt(run_ids: Iterable[str], old: Path, own: Path) -> list[str]:
    """Move these finished runs. What is in our own folder already stays; so does what is no run."""
    moved = []
    for run_id in run_ids:
        source, target = old / run_id, own / run_id
        if source.is_symlink() or os.path.lexists(target):
            continue
        try:
            own.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        except OSError as error:
            raise UserError(f"{target}: {reason(error)}") from None
        moved.append(run_id)
    return moved

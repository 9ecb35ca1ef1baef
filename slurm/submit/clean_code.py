"""Archives of code that nothing uses any more: no submission, no run, no result of any study."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from petl.errors import UserError, reason
from petl.files import open_regular
from petl.runs.code.archive import FOLDER
from petl.runs.directory import RunDir, Runs
from slurm.submit.clean import Group

YOUNG_S = 3600.0
"""A submit keeps the code first, and then writes down that it uses it."""
HEAD = 2**22
"""Bytes of a file in which it says which code it uses; a checkpoint says so in its header."""


def unused_code(runs: Path) -> list[Group]:
    """What is in use is searched for by name: a file that only mentions it keeps it too."""
    folder = runs / FOLDER
    files = [path for path in folder.glob("*") if path.suffix in (".zip", ".diff")]
    old = [path for path in files if time.time() - path.stat().st_mtime > YOUNG_S]
    names = {path.stem for path in old}
    for text in _mentions(runs) if names else ():
        names = {name for name in names if name.encode() not in text}
        if not names:
            break
    unused = sorted(path for path in old if path.stem in names)
    return [Group("code that no submission and no run uses", unused)] if unused else []


def _mentions(runs: Path) -> Iterator[bytes]:
    for study in filter(Path.is_dir, runs.iterdir()):
        for pattern in ("slurm/*/submission.json", "jobs/*/manifest.jsonl"):
            yield from map(_head, study.glob(pattern))
        known = Runs(study)
        for run_id in known:
            result = known.result(run_id)
            if result is not None:
                yield json.dumps(result["environment"].get("code")).encode()
            else:
                yield from _checkpoints(known.run(run_id))


def _checkpoints(run: RunDir) -> Iterator[bytes]:
    yield from map(_head, filter(Path.exists, (run.resume_file, run.older_resume_file)))


def _head(file: Path) -> bytes:
    try:
        with open_regular(file) as opened:
            return opened.read(HEAD)
    except OSError as error:
        why = f"{file}: {reason(error)}"
        raise UserError(f"{why}; petl cannot tell which code is in use, and removes none") from None

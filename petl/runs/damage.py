"""What is damaged in runs' folders and in the archive, for people: one line for each file.

Half a file after a crash, zero bytes after a power cut, a link or a pipe in place of a file. Every
command goes on with the other runs; this says what to do about the damaged one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from petl.errors import reason
from petl.runs import predictions
from petl.runs.archive.format import archive
from petl.runs.claim import holder
from petl.runs.directory import RunDir, Runs
from petl.runs.reading import content_of, epochs_of, is_named, json_mapping
from petl.runs.result import Result, damaged_json, problem

TRAIN = "submit the study again: training writes it anew and keeps this one as *.damaged"
ASIDE = "restore it, or move the run aside with `petl clean STUDY --damaged` and submit it again"
REMOVE = "remove it"
RESTORE = "restore it from a backup"


class Damage(NamedTuple):
    run_id: str
    """Empty for an archive that cannot be read at all."""
    file: Path
    problem: str
    advice: str

    def __str__(self) -> str:
        packed = f"run {self.run_id}, " if self.run_id not in self.file.parts else ""
        return " ".join(f"{packed}{self.file}: {self.problem}; {self.advice}".splitlines())


def damage_of(run: RunDir) -> list[Damage]:
    """What is damaged in a run's folder, or in its packed copy. It reads every file of JSON."""
    if os.path.lexists(run.path):
        return [Damage(run.path.name, *found) for found in _in_folder(run)]
    packed = archive(run.path.parent)
    return [Damage(run.path.name, *found, RESTORE) for found in packed.damage(run.path.name)]


def damage_in(runs: Runs) -> Iterator[Damage]:
    """Of all runs in a study's folder, and of archives that cannot be read."""
    for file, wrong in runs.packed.unreadable:
        yield Damage("", file, wrong, RESTORE)
    for run_id in runs:
        yield from damage_of(runs.run(run_id))


def _in_folder(run: RunDir) -> Iterator[tuple[Path, str, str]]:
    if run.path.is_symlink() or not run.path.is_dir():
        kind = "a link" if run.path.is_symlink() else "not a folder"
        yield run.path, f"{kind}, and petl trains only in a real folder", "move it away"
        return
    try:
        there = sorted(path.name for path in run.path.iterdir())
    except OSError as error:
        yield run.path, reason(error), "ask its owner for permission to read it"
        return
    result = run.result()
    advice = ASIDE if result else TRAIN
    for name in there:
        file = run.path / name
        if kind := _kind(file, name):
            yield file, kind, advice if name in KNOWN else "move it away"
        elif name in (run.task_file.name, run.result_file.name, run.metrics_file.name):
            content, wrong = content_of(file)
            if content is not None:
                wrong = _wrong(run, name, content, result)
            if wrong:
                yield file, wrong, advice
        elif name == run.predictions_file.name:
            if wrong := predictions.read(run)[1]:
                yield file, wrong, REMOVE
        elif name == run.failure_file.name and run.failure() is None:
            yield file, content_of(file)[1] or "not a whole JSON mapping", TRAIN
        elif name == run.claim_file.name and holder(file) is None:
            yield file, content_of(file)[1] or "it names no process", REMOVE
    if result and run.task_file.name not in there:
        yield run.task_file, "missing", ASIDE


def _wrong(run: RunDir, name: str, content: bytes, result: Result | None) -> str:
    if name == run.metrics_file.name:
        rows, problems = epochs_of(content)
        if result and not problems and len(rows) < result["epochs"]:
            return f"it has {len(rows)} of {result['epochs']} epochs"
        return "; ".join(problems[:3])
    if name == run.result_file.name:
        if result is None:
            return problem(content)
        of = result["run_id"]
        return f"the result of another run, {of:.20}" if of != run.path.name else ""
    task = json_mapping(content)
    if task is None:
        return damaged_json(content)
    return "" if is_named(task) else "it does not say which run it is (names, fold and seed)"


def _kind(file: Path, name: str) -> str:
    """What is in place of a regular file; folders of other names belong to trackers."""
    try:
        mode = file.lstat().st_mode
    except OSError as error:
        return reason(error)
    if stat.S_ISLNK(mode):
        return "a link instead of a file"
    if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and name not in KNOWN):
        return ""
    return "a folder instead of a file" if stat.S_ISDIR(mode) else "a pipe or a device"


KNOWN = (
    *("task.json", "claim.json", "metrics.jsonl", "result.json", "failure.json", "log.txt"),
    *("resume.safetensors", "resume.before.safetensors", "weights.safetensors"),
    *("predictions.json", "samples.png"),
)

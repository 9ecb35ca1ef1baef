"""Which runs are trained again, with which code, and what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from petl.config import Task
from petl.config.locate import study_file
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.files import write_atomic
from petl.reproduce.compare import Copy, read_copy
from petl.reproduce.environment import Surroundings, of_run
from petl.reproduce.outcome import Outcome, cell_spread, judge
from petl.runs.code.archive import Code, Frozen, find, running
from petl.runs.directory import RunDir
from petl.runs.find import any_run, find_run, read_task
from slurm.status.plan import Item, Plan

FOLDER = "reproduced"
OF_A_GENERATOR = ("task.json", "weights.safetensors", "result.json")
SUFFIXES = (".yaml", ".yml")


class Original(NamedTuple):
    """A finished run, and how to train it again."""

    task: Task
    copy: Copy
    was: Surroundings
    spread: dict[str, float]
    frozen: Frozen | None
    """The archive to import from; None where the installed code is the same, or was asked for."""

    @property
    def threads(self) -> int | None:
        """Sums of floats depend on it."""
        return self.copy.result["environment"].get("threads")


@dataclass(frozen=True)
class Trust:
    """Whose code may run: --code current runs the installed one, --trust that of anybody."""

    current: bool
    anybody: bool

    def code_of(self, run: RunDir, result: Any, runs: Path) -> Frozen | None:
        if self.current or (code := recorded_code(result)).source == running().source:
            return None
        if code.archive is None:
            raise UserError(
                f"{run.path}: the code of this run was not kept"
                f"{f', only its commit {code.commit}' if code.commit else ''}; "
                "--code current trains it with the installed code"
            )
        frozen = find(runs, code)
        if not (self.anybody or is_own(frozen.path)):
            raise UserError(
                f"{frozen.path}: others may have written this code, and it would run as you; "
                "read it and pass --trust, or pass --code current for the installed code"
            )
        return frozen


def recorded_code(result: Any) -> Code:
    """Of the last try. The names of its files come from it, so a hash has to be one."""
    code = result["environment"].get("code") or {}
    archive = code.get("archive")
    if archive is not None and not re.fullmatch("[0-9a-f]{64}", archive):
        archive = None
    commit = code.get("commit") or result["environment"].get("git_commit")
    return Code(archive, str(code.get("source") or ""), commit)


def is_own(path: Path) -> bool:
    """A file of this user that nobody else may write; its content is checked by its hash."""
    about = path.lstat()
    mine = about.st_uid == os.geteuid() and stat.S_ISREG(about.st_mode)
    return mine and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def chosen(words: Sequence[str], runs: Path, sample: int | None, seed: int) -> list[RunDir]:
    """The named runs, and the finished ones of named studies; or some of these, drawn."""
    found: dict[str, RunDir] = {}
    for word in words:
        for run in _runs_of(word, runs):
            found.setdefault(run.path.name, run)
    return [found[run_id] for run_id in drawn(found, sample, seed)]


def drawn(run_ids: Iterable[str], sample: int | None, seed: int) -> list[str]:
    """The same runs for the same seed, whatever order they come in."""
    if sample is None:
        return list(run_ids)
    ordered = sorted(run_ids)
    return random.Random(seed).sample(ordered, min(sample, len(ordered)))


def _runs_of(word: str, runs: Path) -> list[RunDir]:
    if study_file(word) is None and Path(word).suffix not in SUFFIXES:
        return [find_run(word, runs)]
    study = load_study(word)
    every = [RunDir.of(task, runs) for task in study.tasks]
    if not (done := [run for run in every if run.result() is not None]):
        raise UserError(f"{word}: none of its runs in {runs} is finished")
    return done


def original(run: RunDir, trust: Trust) -> Original:
    task, copy, runs = read_task(run), read_copy(run), run.path.parents[1]
    if not task.run_id == run.path.name == copy.result["run_id"]:
        raise UserError(f"{run.path}: its task is that of another run, {task.run_id}")
    frozen = trust.code_of(run, copy.result, runs)
    return Original(task, copy, of_run(copy.result, runs), cell_spread(run, task), frozen)


def take_generators(originals: Iterable[Original], runs: Path, again: Path) -> None:
    """Copy the generators whose clips runs train on to where those are trained again."""
    tasks = [one.task for one in originals]
    for generator in {task.augment.generator for task in tasks if task.augment}:
        if (run := any_run(generator, runs)) is None or run.result() is None:
            raise UserError(
                f"augment.generator: {runs} has no finished run {generator}, whose clips train; "
                "fit it, or choose another folder with --runs or PETL_RUNS"
            )
        copy = again / run.path.parent.name / generator
        if RunDir(copy).result() is None:
            copy.mkdir(parents=True, exist_ok=True)
            for name in OF_A_GENERATOR:
                if (content := run.read(name)) is not None:
                    write_atomic(copy / name, content)


def groups(originals: Sequence[Original]) -> Iterator[tuple[Study, Frozen | None, int | None]]:
    """Those of one study, with the same code and number of threads, can be trained together."""

    def key(one: Original) -> tuple[str, str, int]:
        return (one.task.names.study, one.frozen.word if one.frozen else "", one.threads or 0)

    for (name, _, _), some in groupby(sorted(originals, key=key), key):
        together = list(some)
        tasks = [one.task for one in together]
        study = Study(name, Path(f"{name}.yaml"), "runs trained again", "test_last", tasks)
        yield study, together[0].frozen, together[0].threads


def folder_for(runs: Path, python: str, image: str | None, current: bool) -> Path:
    """A folder of its own for each environment: an earlier call there is continued."""
    where = image or str(Path(python).absolute().parents[1])
    code = running().source if current else "own"
    digest = hashlib.sha256(json.dumps([where, code]).encode()).hexdigest()[:8]
    name = re.sub(r"[^\w.-]+", "-", Path(where).name).strip(".-")
    return runs / FOLDER / f"{name}-{digest}"


def outcomes(originals: Sequence[Original], again: Path) -> list[Outcome]:
    """What was trained again in that folder, compared; and what was not, with the reason."""
    items: dict[str, Item] = {}
    for study, _, _ in groups(originals):
        items |= {item.task.run_id: item for item in Plan(study, again).items}
    return [_outcome(one, items[one.task.run_id]) for one in originals]


def _outcome(one: Original, item: Item) -> Outcome:
    if item.kind == "done":
        return judge(one.task, one.copy, one.was, item.run, one.spread)
    over = item.kind in ("failed", "lost")
    remark = ": ".join(filter(None, (item.kind, item.state.reason)))
    return Outcome(one.task.run_id, str(one.task), "", remark=remark, unfinished=not over)

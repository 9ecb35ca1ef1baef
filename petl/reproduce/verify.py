"""Check a bundle that somebody else has sent: nothing in it is unpacked, trusted or run."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, NamedTuple, cast

from petl.config import Task
from petl.config.kinds import SPECTROGRAMS
from petl.config.validate import validate
from petl.errors import UserError, reason, several
from petl.files import open_regular
from petl.reproduce.bundle import MANIFEST, OF_A_RUN, SCHEMA, STUDY, WHAT, archives_of
from petl.reproduce.compare import Copy, same
from petl.runs.machine import Machine, read_machine
from petl.runs.reading import epochs_of, json_mapping
from petl.runs.result import Result, Scores, parse_result, problem

HEX = "[0-9a-f]"
NAME = re.compile(
    rf"{STUDY}|runs/{HEX}{{16}}/(?:{'|'.join(map(re.escape, OF_A_RUN))})"
    rf"|code/{HEX}{{64}}\.(?:zip|diff)|machines/{HEX}{{64}}\.json|locks/{HEX}{{64}}\.lock"
)
"""What a bundle may contain; a file of another name is told of, and never read."""
WEIGHTS = "/weights.safetensors"
MOST = 64 * 2**20
"""Bytes of any file but weights."""
BLOCK = 2**20


class Cell(NamedTuple):
    dataset: str
    backbone: str
    method: str
    runs: int
    mean: float
    std: float | None


@dataclass
class Checked:
    """What a bundle holds. Its runs can be used if `problems` is empty."""

    path: Path
    study: str = ""
    report: str = ""
    tasks: int = 0
    problems: list[str] = field(default_factory=list)
    names: dict[str, Task] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    synthetic: int = 0

    def cells(self) -> list[Cell]:
        """The mean over folds of the mean over seeds, and the deviation over folds, as a table."""
        groups: dict[tuple[str, str, str], dict[int, list[float]]] = {}
        for run_id, task in self.names.items():
            key = (task.names.dataset, task.names.backbone, task.names.method)
            groups.setdefault(key, {}).setdefault(task.fold, []).append(self.scores[run_id])
        cells = []
        for key, folds in groups.items():
            means = [fmean(seeds) for seeds in folds.values()]
            spread = pstdev(means) if len(means) > 1 else None
            cells.append(Cell(*key, sum(map(len, folds.values())), fmean(means), spread))
        return cells


def verify_bundle(path: Path, tell: Callable[..., None]) -> Checked:
    checked = Checked(path)
    with _opened(path) as packed:
        entries = {entry.filename: entry for entry in packed.infolist()}
        manifest = _manifest(path, packed)
        checked.study, checked.report = str(manifest["study"]), str(manifest["report"])
        checked.tasks = int(manifest["tasks"])
        listed = manifest["files"]
        checked.problems += [f"{name}: removed" for name in sorted(listed.keys() - entries)]
        added = sorted(entries.keys() - listed - {MANIFEST})
        checked.problems += [f"{name:.100}: added, not in the manifest" for name in added]
        known = sorted(listed.keys() & entries)
        for done, name in enumerate(known, 1):
            if wrong := _wrong(packed, entries[name], listed[name]):
                checked.problems.append(f"{name}: {wrong}")
            tell("checking files", done, len(known))
        for run_id in sorted({name.split("/")[1] for name in known if name.startswith("runs/")}):
            checked.problems += _check_run(checked, packed, run_id, entries)
    return checked


def read_copy(path: Path, run_id: str) -> Copy:
    """A run of a bundle that was verified."""
    with _opened(path) as packed:
        there = packed.NameToInfo
        content = {
            name: packed.read(there[f"runs/{run_id}/{name}"])
            for name in OF_A_RUN
            if f"runs/{run_id}/{name}" in there
        }
    result = parse_result(content["result.json"])
    assert result is not None
    rows, _ = epochs_of(content.get("metrics.jsonl"))
    return Copy(result, rows, content.get("weights.safetensors"))


def read_code(path: Path, digest: str) -> bytes | None:
    """An archive of code, if the bundle has it and it has this SHA-256."""
    with _opened(path) as packed:
        entry = packed.NameToInfo.get(f"code/{digest}.zip")
        data = packed.read(entry) if entry and entry.file_size <= MOST else b""
    return data if hashlib.sha256(data).hexdigest() == digest else None


def read_machine_of(path: Path, digest: object) -> Machine | None:
    with _opened(path) as packed:
        entry = packed.NameToInfo.get(f"machines/{digest}.json")
        return read_machine(packed.read(entry) if entry else None)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Refuse what no bundle has, before anything is read from it."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as packed:
            entries = packed.infolist()
            size = file.seek(0, 2)
            if len(packed.NameToInfo) != len(entries):
                raise UserError(f"{path}: two files in it have one name")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise UserError(f"{path}: not a bundle of petl: a file in it is compressed")
            if sum(entry.file_size for entry in entries) > size:
                raise UserError(f"{path}: its files are larger than itself")
            for entry in entries:
                if entry.file_size > MOST and not entry.filename.endswith(WEIGHTS):
                    name = f"{entry.filename!r:.100}"
                    raise UserError(f"{path}: {name} is larger than {MOST >> 20} MiB")
            yield packed
    except OSError as error:
        raise UserError(f"{path}: {reason(error)}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"{path}: not a zip file, or damaged: {error}") from None


def _manifest(path: Path, packed: zipfile.ZipFile) -> dict[str, Any]:
    if MANIFEST not in packed.NameToInfo:
        raise UserError(f"{path}: no {MANIFEST} in it, so it is not a bundle of petl")
    manifest = json_mapping(packed.read(MANIFEST)) or {}
    if (manifest.get("what"), manifest.get("schema")) != (WHAT, SCHEMA):
        raise UserError(f"{path}: {MANIFEST} is damaged, or of another version of petl")
    files = manifest.get("files")
    whole = isinstance(files, dict) and all(
        NAME.fullmatch(name) and isinstance(about, dict) for name, about in files.items()
    )
    if not whole or type(manifest.get("tasks")) is not int or not manifest.get("report"):
        raise UserError(f"{path}: {MANIFEST} is damaged")
    return manifest


def _wrong(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, about: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    try:
        with packed.open(entry) as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except (zipfile.BadZipFile, EOFError):
        return "changed: its bytes do not fit the zip file's own checksum"
    if digest.hexdigest() != about.get("sha256"):
        return "changed: it has another SHA-256 than the manifest says"
    named = re.search(rf"/({HEX}{{64}})\.(?!diff)", entry.filename)
    if named and named[1] != digest.hexdigest():
        return "it has another SHA-256 than its name"
    return ""


def _check_run(
    checked: Checked, packed: zipfile.ZipFile, run_id: str, entries: dict[str, zipfile.ZipInfo]
) -> Iterator[str]:
    """Does the result belong to the task, and are its numbers consistent with each other?"""
    content: dict[str, bytes] = {}
    for name in OF_A_RUN[:3]:
        try:
            content[name] = packed.read(entries[f"runs/{run_id}/{name}"])
        except KeyError:
            yield f"runs/{run_id}: no {name}"
            return
        except zipfile.BadZipFile:
            return  # told already
    where = f"runs/{run_id}/task.json"
    try:
        task = validate(Task, json_mapping(content["task.json"]) or {}, lambda key: where)
    except UserError as error:
        yield str(error)
        return
    if (result := parse_result(content["result.json"])) is None:
        yield f"runs/{run_id}/result.json: {problem(content['result.json'])}"
        return
    yield from _contradictions(task, run_id, result, epochs_of(content["metrics.jsonl"])[0])
    for digest in archives_of(result):
        if f"code/{digest}.zip" not in entries:
            yield f"runs/{run_id}: its code {digest[:16]} is not in the bundle"
    scores = cast("dict[str, Scores]", result["metrics"]).get(checked.report) or {}
    score = scores.get(task.kind.headline)
    if score is None:
        yield f"runs/{run_id}/result.json: no score {checked.report}"
        return
    checked.names[run_id], checked.scores[run_id] = task, score
    checked.synthetic += bool(result.get("synthetic"))


def _contradictions(
    task: Task, run_id: str, result: Result, rows: list[dict[str, Any]]
) -> Iterator[str]:
    where = f"runs/{run_id}/"
    if task.run_id != run_id:
        yield f"{where}task.json: it is the task of run {task.run_id}"
    if result["run_id"] != run_id or not _is_task(task, result["task"]):
        yield f"{where}result.json: the result of another task"
    if len(rows) != result["epochs"]:
        have = several(len(rows), "epoch")
        yield f"{where}metrics.jsonl: {have}, and the result has {result['epochs']}"
        return
    best = rows[result["best_epoch"] - 1] if 0 < result["best_epoch"] <= len(rows) else {}
    # a generator is measured once, at its end
    validated = {} if task.kind is SPECTROGRAMS else result["metrics"]["val_best"]
    for name, value in validated.items():
        if not same(best.get(f"val_{name}"), value):
            yield f"{where}result.json: val_best.{name} is not that of epoch {result['best_epoch']}"
    metrics = cast("dict[str, Scores]", result["metrics"])
    for split, matrix in (result.get("confusion") or {}).items():
        accuracy = metrics.get(split, {}).get("accuracy")
        if matrix and not _fits(matrix, accuracy):
            yield f"{where}result.json: {split}.accuracy is not that of its confusion matrix"


def _is_task(task: Task, data: dict[str, Any]) -> bool:
    """An older version wrote it without the settings that are new since."""
    try:
        return validate(Task, data, lambda key: "") == task
    except UserError:
        return False


def _fits(matrix: list[list[int]], accuracy: float | None) -> bool:
    right = sum(row[i] for i, row in enumerate(matrix) if i < len(row))
    total = sum(map(sum, matrix))
    return total > 0 and accuracy is not None and abs(right / total - accuracy) < 1e-6

"""A study as one zip file, for a reviewer: everything that its table comes from.

    manifest.json               the SHA-256 of every other file; written last
    study.yaml
    runs/<run id>/              task.json, result.json, metrics.jsonl, weights if they were kept
    code/<sha256>.zip           what the runs were made with, and its difference from the commit
    machines/<sha256>.json      packages and processor
    locks/<sha256>.lock

The same runs give the same bytes. Nothing is compressed: versions of zlib differ, and a reader can
refuse whatever is. Names of people, machines and folders stay out unless they are asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from getpass import getuser
from pathlib import Path
from typing import Any

import petl
from petl.config.study import Study
from petl.errors import UserError, reason
from petl.files import read_regular, staging
from petl.places import Places
from petl.reproduce.packages import lock_with
from petl.runs.code.archive import archive_path, diff_path
from petl.runs.directory import RunDir
from petl.runs.machine import machine_file
from petl.runs.result import Result

WHAT, SCHEMA = "petl-ast bundle", 1
MANIFEST, STUDY = "manifest.json", "study.yaml"
OF_A_RUN = ("task.json", "result.json", "metrics.jsonl", "weights.safetensors")
PRIVATE = ("host", "slurm_job_id", "slurm")
"""Keys of a result's environment that name machines and jobs."""
FOLDER = re.compile(rb"(?<![\w.:/)>~-])(?:~|/[\w.-]+)/[\w.-]+")
"""An absolute path; the end of a URL and `and/or` are none."""
ANYONE = {"root", "localhost"}

Read = Callable[[], bytes | None]


@dataclass
class Contents:
    """What goes into a bundle, read when it is written: weights may be large."""

    files: dict[str, Read] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    runs: int = 0
    lacks: list[str] = field(default_factory=list)


def write_bundle(
    study: Study, places: Places, out: Path, *, with_hosts: bool, tell: Callable[..., None]
) -> Contents:
    if os.path.lexists(out):
        raise UserError(f"{out}: exists already; remove it, or choose another name")
    contents = collect(study, places.runs, with_hosts=with_hosts)
    secrets = None if with_hosts else _Secrets(contents.hosts, places)
    about = {"what": WHAT, "schema": SCHEMA, "petl": petl.__version__, "study": study.name}
    about |= {"report": study.report, "tasks": len(study.tasks)}
    try:
        with staging(out.absolute()) as folder:
            part = folder / "bundle.zip"
            with zipfile.ZipFile(part, "x", zipfile.ZIP_STORED) as packed:
                sums = dict(_written(packed, contents, secrets, tell))
                _add(packed, MANIFEST, _json({**about, "files": sums}))
            part.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or out}: {reason(error)}") from None
    return contents


def collect(study: Study, runs: Path, *, with_hosts: bool) -> Contents:
    contents = Contents()
    codes, machines, locks = set[str](), set[str](), set[str]()
    for run_id, task in {task.run_id: task for task in study.tasks}.items():
        run = RunDir.of(task, runs)
        if (result := run.result()) is None:
            continue
        contents.runs += 1
        contents.files |= {f"runs/{run_id}/{name}": partial(run.read, name) for name in OF_A_RUN}
        if not with_hosts:
            contents.files[f"runs/{run_id}/result.json"] = partial(_without_hosts, run)
        facts = result["environment"]
        contents.hosts.add(facts.get("host") or "")
        codes |= archives_of(result)
        machines.add(facts.get("machine") or "")
        locks.add(facts.get("lock_hash") or "")
    if not contents.runs:
        raise UserError(f"{study.path}: none of its runs in {runs} is finished")
    if study.path.is_file():
        contents.files[STUDY] = partial(read_regular, study.path)
    contents.files |= {f"machines/{it}.json": partial(machine_file, runs, it) for it in machines}
    for digest in sorted(locks - {""}):
        if lock := lock_with(digest):
            contents.files[f"locks/{digest}.lock"] = partial(read_regular, lock)
        else:
            contents.lacks.append(f"the lock file with SHA-256 {digest[:16]}, not in this checkout")
    contents.lacks += _generators(study)
    _add_code(contents, runs, codes)
    return contents


def _generators(study: Study) -> list[str]:
    """Named, and not packed: another study has a bundle of its own."""
    used = sorted({task.augment.generator for task in study.tasks if task.augment})
    of = {study.generators[it].stem for it in used if it in study.generators}
    where = f" (bundle {', '.join(sorted(of))} too)" if of else ""
    return [f"the generators whose clips its runs train on: {', '.join(used)}{where}"] * bool(used)


def archives_of(result: Result) -> set[str]:
    """The archives of code that the run's tries imported."""
    code: dict[str, Any] = dict(result["environment"].get("code") or {})
    found = [code.get("archive"), *(row.get("archive") for row in code.get("tries", ()))]
    return {name for name in found if name and re.fullmatch("[0-9a-f]{64}", name)}


def _add_code(contents: Contents, runs: Path, codes: set[str]) -> None:
    if not codes:
        contents.lacks.append("the code: these results name no archive of it")
    for digest in sorted(codes):
        file, diff = archive_path(runs, digest), diff_path(runs, digest)
        try:
            data = read_regular(file)
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() != digest:
            contents.lacks.append(f"the code {digest[:16]}: {file} is missing or has changed")
            continue
        contents.files[f"code/{digest}.zip"] = partial(read_regular, file)
        if diff.is_file():
            contents.files[f"code/{digest}.diff"] = partial(read_regular, diff)


def _without_hosts(run: RunDir) -> bytes | None:
    """result.json without the names of machines and jobs, and without the folder of an image."""
    if (result := run.result()) is None:
        return None
    facts: dict[str, Any] = {
        key: value for key, value in result["environment"].items() if key not in PRIVATE
    }
    if str(facts.get("image") or "").startswith(("/", ".")):
        facts["image"] = Path(facts["image"]).name
    return _json({**result, "environment": facts})


def _written(
    packed: zipfile.ZipFile, contents: Contents, secrets: _Secrets | None, tell: Callable[..., None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for done, name in enumerate(sorted(contents.files), 1):
        if (data := contents.files[name]()) is not None:
            if secrets is not None:
                secrets.refuse(name, data)
            _add(packed, name, data)
            yield name, {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        tell("writing", done, len(contents.files))


def _add(packed: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name)  # of 1980-01-01
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    packed.writestr(entry, data)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=True) + "\n").encode()


class _Secrets:
    """Names of people, machines and folders, and where a bundle would tell them."""

    def __init__(self, hosts: set[str], places: Places):
        folders = {str(path) for path in (Path.home(), Path.cwd(), *vars(places).values())}
        names = {socket.gethostname(), socket.gethostname().partition(".")[0], getuser(), *hosts}
        self.folders = _any_of(folders - {"/", "/root"}, rb"(?<![\w.-])(?:%s)(?![\w.-])")
        self.names = _any_of(names - ANYONE - {""}, rb"(?<![\w-])(?:%s)(?![\w-])")

    def refuse(self, name: str, data: bytes) -> None:
        if name.endswith(".safetensors") or name.startswith("locks/"):
            return
        kinds = [self.folders]
        if not name.startswith(("code/", "machines/")):  # programs name folders of the system
            kinds += [self.names, FOLDER]
        for kind in kinds:
            if found := kind.search(data):
                raise UserError(
                    f"the bundle's {name} would tell {found[0].decode(errors='replace')!r}; "
                    "change it, or pass --with-hosts to include such names"
                )


def _any_of(words: set[str], pattern: bytes) -> re.Pattern[bytes]:
    alternatives = b"|".join(re.escape(word.encode()) for word in sorted(words)) or rb"(?!)"
    return re.compile(pattern % alternatives)

"""The ways in which a file of a run is damaged, and a study in which each has struck one run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from petl.config.study import Study, load_study
from petl.runs.synthetic import fabricate

NOBODY = 65534
FINISHED = ("task.json", "result.json", "metrics.jsonl", "log.txt", "weights.safetensors")
UNFINISHED = ("task.json", "metrics.jsonl", "failure.json", "claim.json", "log.txt")
MORE = {
    "claim.json": {
        "token": "ab",
        "host": "gpu7",
        "boot": "b",
        "namespace": 1,
        "pid": 7,
        "born": "1",
    },
    "failure.json": {"kind": "ValueError", "message": "loss is nan", "class": "error"},
}
FILE = """
description: every run is damaged in another way
profile: as-run
report: test_last
matrix:
  dataset: made-sounds
  backbone: ast-small
  method: [linear, bitfit, lora, bottleneck-pfeiffer, conformer-pfeiffer]
  fold: all
  seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
datasets:
  made-sounds:
    label: Made sounds
    dataset: {corpus: made-sounds, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
              spec_augment: null}
    train: {epochs: 3, batch_size: 32}
"""


def _rewritten(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Every JSON object in the file, changed; a file of another kind gets the JSON instead."""

    def damage(file: Path) -> None:
        try:
            values = [json.loads(file.read_bytes())]
        except ValueError:
            values = []
            for line in file.read_text(errors="replace").splitlines():
                values.append(json.loads(line) if line.startswith("{") else {"line": line})
        file.write_text("".join(json.dumps(change(value)) + "\n" for value in values))

    return damage


def _written(content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(content(file.read_bytes())) and None


def _replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        file.unlink()
        make(file)

    return damage


def _link_elsewhere(file: Path) -> None:
    elsewhere = file.parent.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    target = elsewhere / f"{file.parent.name}-{file.name}"
    shutil.move(file, target)
    file.symlink_to(target)


def _of_another_user(file: Path) -> None:
    file.chmod(0)
    if os.geteuid() == 0:
        os.chown(file, NOBODY, NOBODY)


WAYS: dict[str, Callable[[Path], None]] = {
    "empty": _written(lambda old: b""),
    "half": _written(lambda old: old[: len(old) // 2]),
    "nul": _written(lambda old: bytes(len(old))),
    "half nul": _written(lambda old: old[: len(old) // 2] + bytes(len(old) - len(old) // 2)),
    "null": _written(lambda old: b"null\n"),
    "list": _written(lambda old: b"[]\n"),
    "number": _written(lambda old: b"3\n"),
    "huge number": _written(lambda old: b'{"epoch": ' + b"9" * 5000 + b"}\n"),
    "nested": _written(lambda old: b"[" * 100_000 + b"\n"),
    "no keys": _rewritten(lambda value: {}),
    "keys of other types": _rewritten(lambda value: {key: [key] for key in value}),
    "null values": _rewritten(dict.fromkeys),
    "other schema": _rewritten(lambda value: {**value, "schema": 99}),
    "twice": _written(lambda old: old * 2),
    "no utf-8": _written(lambda old: old.replace(b"e", b"\xff\xfe")),
    "pipe": _replaced(os.mkfifo),
    "folder": _replaced(os.mkdir),
    "link elsewhere": _link_elsewhere,
    "dangling link": _replaced(lambda file: file.symlink_to("nothing")),
    "link to itself": _replaced(lambda file: file.symlink_to(file.name)),
    "of another user": _of_another_user,
}


TEXT = tuple(way for way in WAYS if way not in ("pipe", "folder") and "link" not in way)
HARMLESS: dict[tuple[bool, str], tuple[str, ...]] = {
    (True, "task.json"): ("other schema",),
    (True, "metrics.jsonl"): ("other schema",),
    (True, "log.txt"): TEXT,
    (True, "weights.safetensors"): TEXT,
    (False, "task.json"): ("other schema",),
    (False, "metrics.jsonl"): ("other schema", "empty", "half", "nul", "half nul"),
    (False, "failure.json"): (*("other schema", "no keys", "keys of other types", "null values"),),
    (False, "claim.json"): ("other schema",),
    (False, "log.txt"): TEXT,
}
"""No damage, by whether the run is finished: these files have no schema, a killed run leaves half
a line of metrics, a failure may lack keys, and nobody reads a log or weights as data here."""


class Damaged:
    """A study with a damaged run for each file and way, and as many whole ones."""

    def __init__(self, folder: Path):
        self.folder, self.runs = folder, folder / "runs"
        folder.mkdir(exist_ok=True)
        file = folder / "damaged.yaml"
        file.write_text(FILE)
        self.study: Study = load_study(file)
        fabricate(self.study, self.runs)
        cases = [(True, file, way) for file in FINISHED for way in WAYS]
        cases += [(False, file, way) for file in UNFINISHED for way in WAYS]
        ids = [task.run_id for task in self.study.tasks]
        Random(0).shuffle(ids)
        self.of: dict[str, tuple[bool, str, str]] = dict(zip(ids, cases, strict=False))
        """By run id: whether it was finished, the damaged file, and the way."""
        self.whole = ids[len(cases) :]
        for run_id, case in self.of.items():
            self._damage(self.runs / self.study.name / run_id, *case)

    def _damage(self, run: Path, finished: bool, name: str, way: str) -> None:
        if finished:
            (run / "weights.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}" + bytes(64))
        else:
            (run / "result.json").unlink()
        if not finished and name in MORE:
            (run / name).write_text(json.dumps(MORE[name]))
            os.utime(run / name, (0, 0))
        WAYS[way](run / name)

    def runs_with(self, name: str, finished: bool = True) -> dict[str, str]:
        """The ways, by run id, of those whose file is damaged."""
        return {
            run_id: way
            for run_id, (ended, file, way) in self.of.items()
            if file == name and ended == finished
        }

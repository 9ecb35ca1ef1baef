"""Studies so small that a run of them takes a second or two, and what tests do with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from petl.config.study import Study, load_study
from petl.places import Places
from petl.runs.directory import RunDir

ROOT = Path(__file__).parent.parent.parent

STUDY = f"""\
description: tiny
profile: as-run
report: test_last
matrix: {{dataset: made-sounds, backbone: tiny, method: METHODS, fold: FOLDS, seed: 1}}
backbones:
  tiny: {{backbone: {{family: ast, source: {ROOT}/tests/golden/ast_tiny}}}}
datasets:
  made-sounds:
    dataset:
      {{corpus: made-sounds, layout: esc50, classes: 10, folds: 5, frames: 32, split: paper,
       spec_augment: null}}
    train: {{epochs: EPOCHS, batch_size: 64}}
"""

SHORT, LONG = 2, 2000

Make = Callable[..., Study]


def write_study(path: Path, methods: str, folds: str, epochs: int, more: str = "") -> Study:
    text = STUDY.replace("METHODS", methods).replace("FOLDS", folds)
    path.write_text(text.replace("EPOCHS", str(epochs)) + more)
    return load_study(path)


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.1)


def start(*arguments: object, places: Places | None = None) -> subprocess.Popen[str]:
    """A petl command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "petl.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, **(environment(places) if places else {})},
        start_new_session=True,
    )


def petl(*arguments: object, places: Places | None = None, code: int = 0) -> str:
    """What a petl command prints, on either stream."""
    process = start(*arguments, places=places)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    return out + err


def environment(places: Places) -> dict[str, str]:
    folders = {"RUNS": places.runs, "DATA": places.data, "CACHE": places.cache}
    return {f"PETL_{name}": str(folder) for name, folder in folders.items()}


def runs(study: Study, places: Places) -> list[RunDir]:
    return [RunDir.of(task, places.runs) for task in study.tasks]


def numbers(run: RunDir) -> dict[str, Any]:
    """What a result says, less when, where and how fast."""
    result = run.result()
    assert result is not None
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in run.metrics()]
    kept = ("run_id", "task", "params", "metrics", "best_epoch", "epochs")
    return json.loads(json.dumps({**{key: result[key] for key in kept}, "rows": rows}))

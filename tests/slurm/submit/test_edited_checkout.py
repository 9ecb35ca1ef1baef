"""The checkout is edited while jobs wait, on a real Slurm: they run what was submitted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT, Make, environment, numbers, runs, until, write_study

from petl.config.options import Options
from petl.places import Places
from petl.runs.code.archive import build
from petl.runs.directory import RunDir
from slurm.devcluster import DevCluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

EPOCHS = 60
"""Some seconds: long enough to be requeued."""
STUDY = ("linear", "[0, 1, 2]", EPOCHS, "keep_weights: true\n")
BEFORE, AFTER = "return rise * 0.5 *", "return rise * 1.0 *"
"""In petl/train/optim.py: twice the learning rate at every step."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one, that can be edited."""
    root = tmp_path / "checkout"
    for folder in ("petl", "slurm", "experiments"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, root / folder, ignore=skip)
    return root


def petl(checkout: Path, places: Places, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "petl.cli", *map(str, words)],
        cwd=checkout,
        env={**os.environ, **environment(places), "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def outcome(run: RunDir) -> tuple[dict[str, Any], bytes]:
    return numbers(run), run.weights_file.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The outcome of each run in this process, with the code of this checkout."""
    from petl.train.run import run_task

    folder = tmp_path_factory.mktemp("undisturbed")
    loaded = write_study(folder / "tiny.yaml", *STUDY)
    places = Places(folder / "runs", prepared / "data", prepared / "cache")
    for task in loaded.tasks:
        run_task(task, places, Options(threads=1))
    return [outcome(run) for run in runs(loaded, places)]


@pytest.mark.parametrize("code", ["frozen", "current"])
def test_jobs_run_the_code_they_were_submitted_with_although_the_checkout_is_edited(
    make: Make,
    places: Places,
    in_cluster: DevCluster,
    undisturbed: list[tuple[dict[str, Any], bytes]],
    checkout: Path,
    tmp_path: Path,
    code: str,
) -> None:
    """Equal bits, with two runs for each job and one job requeued. Not with `--code current`."""
    loaded = make(*STUDY)
    profile = {"partition": "gpu", "cpus": 1, "mem_gb": 2, "time": 30, "throttle": 1}
    profile |= {"tasks_per_job": 2} if code == "frozen" else {}
    path = tmp_path / "cluster.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in profile.items()))
    made = build(checkout)
    command = ("submit", loaded.path, "--cluster", path, "--yes")
    petl(checkout, places, *command, *(["--code", "current"] if code == "current" else []))
    first, *_ = runs(loaded, places)
    until(lambda: len(first.metrics()) > 1 and first.claim_file.exists())

    file = checkout / "petl/train/optim.py"
    text = file.read_text()
    assert BEFORE in text
    file.write_text(text.replace(BEFORE, AFTER))
    (running,) = in_cluster.run("squeue", "-h", "-t", "RUNNING", "-o", "%i").split()
    in_cluster.run("scontrol", "requeue", running)
    told = petl(checkout, places, "status", loaded.path)
    assert ("the code submitted at" in told) == (code == "frozen")
    until(lambda: all(run.result_file.exists() for run in runs(loaded, places)), 150)

    same = [outcome(run) == was for run, was in zip(runs(loaded, places), undisturbed, strict=True)]
    results = [run.result() for run in runs(loaded, places)]
    codes = [result["environment"]["code"] for result in results if result]
    assert len(codes) == 3 and results[0] and results[0]["timing"]["tries"] == 2
    if code == "frozen":
        assert all(same)
        assert {one["archive"] for one in codes} == {made.code.archive}
        assert not any(one["mixed"] for one in codes)
    else:
        assert not any(same)
        assert [one["mixed"] for one in codes] == [True, False, False]
        assert codes[0]["source"] != made.code.source == codes[0]["tries"][0]["source"]

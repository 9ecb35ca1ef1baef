"""A tiny training to damage, and a queue that starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from full_queue import Slurm
from interrupted import Case

from petl.config import Task
from petl.config.options import Options
from petl.config.study import load_study
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.run import Interrupted, run_task
from slurm.scheduler import Answer
from slurm.submit import control, sbatch

GOLDEN = Path(__file__).parent.parent / "golden"
STUDY = f"""
description: damaged
profile: as-run
report: test_last
keep_weights: true
matrix: {{dataset: tiny, backbone: tiny, method: [bottleneck, linear], fold: 0, seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: "{GOLDEN / "ast_tiny"}"}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      spec_augment: null}}
    train: {{epochs: 3, batch_size: 8}}
methods:
  bottleneck: {{like: bottleneck-pfeiffer, method: {{block: {{reduction: 8}}}}}}
"""
EACH_STEP = Options(threads=1, checkpoint_minutes=0)


@pytest.fixture(scope="session")
def tiny_tasks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, Task, Task]:
    from petl.data.synthetic.quickstart import make_corpus

    root = tmp_path_factory.mktemp("damage")
    make_corpus(root / "data" / "tiny", takes=1)
    (root / "damaged.yaml").write_text(STUDY)
    task, other = load_study(root / "damaged.yaml").tasks
    return Places(root / "whole", root / "data", root / "cache"), task, other


@pytest.fixture(scope="session")
def undisturbed(tiny_tasks: tuple[Places, Task, Task]) -> RunDir:
    places, task, _ = tiny_tasks
    run_task(task, places, Options(threads=1))
    return RunDir.of(task, places.runs)


@pytest.fixture(scope="session")
def half_way(
    tiny_tasks: tuple[Places, Task, Task], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run that was stopped in its third epoch, with two checkpoints."""
    places, task, _ = tiny_tasks
    runs = tmp_path_factory.mktemp("half")
    calls = iter(range(11))
    with pytest.raises(Interrupted):
        stop = lambda: next(calls, None) is None  # noqa: E731
        run_task(task, Places(runs, places.data, places.cache), EACH_STEP, stop=stop)
    run = RunDir.of(task, runs)
    assert run.resume_file.exists() and run.older_resume_file.exists()
    assert len(run.metrics()) == 2
    return runs


@pytest.fixture
def case(tiny_tasks: tuple[Places, Task, Task], half_way: Path, tmp_path: Path) -> Case:
    return Case(tiny_tasks, half_way, tmp_path / "runs")


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    fake = Slurm()
    for module in ("slurm.status.plan", "slurm.submit.recover"):
        monkeypatch.setattr(f"{module}.queued", fake.queued)
        monkeypatch.setattr(f"{module}.accounted", lambda arrays, since: Answer())
    for room in (control, sbatch):
        monkeypatch.setattr(room, "run", fake.run)
    monkeypatch.setattr(sbatch, "ask", fake.run)
    return fake

"""Trackers: imported when asked for, and their errors never end a run."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from made_runs import stopped

from petl.config import Task
from petl.config.study import EXPERIMENTS, load_study
from petl.errors import UserError
from petl.files import append_json_line
from petl.runs.directory import RunDir
from petl.train.trackers import Trackers, check

ROOT = EXPERIMENTS.parent
RESULT = {"epochs": 3, "metrics": {"test_last": {"accuracy": 0.5, "loss": 1.0}}}
WANDB = """
    import json, pathlib
    CALLS = pathlib.Path({calls!r})
    def note(*said):
        with CALLS.open("a") as file:
            file.write(json.dumps(said) + "\\n")
    class Summary:
        def update(self, values): note("summary", values)
    class Run:
        summary = Summary()
        def define_metric(self, name, step_metric): note("define", name, step_metric)
        def log(self, row):
            if row["epoch"] == 2: raise OSError("the network is gone")
            note("log", row)
        def finish(self, exit_code): note("finish", exit_code)
    def init(**settings):
        note("init", settings)
        return Run()
"""


@pytest.fixture
def task() -> Task:
    return load_study(EXPERIMENTS / "quickstart.yaml").tasks[0]


@pytest.fixture
def run(task: Task, tmp_path: Path) -> RunDir:
    return stopped(task, tmp_path / "runs", 0)


def started(names: list[str], run: RunDir, task: Task) -> Trackers:
    trackers = Trackers()
    trackers.start(names, run, task)
    return trackers


def row(epoch: int) -> dict[str, float]:
    return {"epoch": epoch, "train_loss": 1 / epoch, "val_accuracy": 0.5, "lr": 0.1, "seconds": 1.0}


def test_without_trackers_no_tracker_package_is_imported() -> None:
    code = """
import sys
import petl.train.run, petl.train.trackers
petl.train.trackers.Trackers().start((), None, None)
print(sorted({"tensorboard", "wandb", "tensorflow"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_misspelt_tracker_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no tracker 'tensorbord'; did you mean 'tensorboard'\?"):
        check(["tensorbord"])


def test_a_missing_package_is_named_with_its_install_command(monkeypatch) -> None:
    monkeypatch.setattr("petl.train.trackers.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install wandb$"):
        check(["wandb"])


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch) -> Path:
    """A package of that name that notes what it is asked: the real one wants an account."""
    package = tmp_path / "packages"
    (package / "wandb").mkdir(parents=True)
    calls = tmp_path / "calls.jsonl"
    code = textwrap.dedent(WANDB).replace("{calls!r}", repr(str(calls)))
    (package / "wandb" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(package)
    yield calls
    sys.modules.pop("wandb", None)


def test_wandb_resumes_under_the_run_id_and_its_errors_end_no_run(
    wandb: Path, run: RunDir, task: Task, caplog
) -> None:
    tracker = started(["wandb", "wandb"], run, task)
    for epoch in (1, 2, 3):
        tracker.epoch(row(epoch))
    tracker.end(RESULT)
    calls = [json.loads(line) for line in wandb.read_text().splitlines()]
    (_, settings), (_, *by_epoch), (_, logged) = calls
    assert settings["id"] == task.run_id
    assert settings["resume"] == "allow"
    assert settings["dir"] == str(run.path.parent)
    assert by_epoch == ["*", "epoch"]
    assert logged["train/loss"] == 1.0
    assert logged["epoch"] == 1
    assert "wandb failed and is off: the network is gone; metrics.jsonl continues" in caplog.text


def test_wandb_gets_the_final_metrics(wandb: Path, run: RunDir, task: Task) -> None:
    tracker = started(["wandb"], run, task)
    tracker.end(RESULT)
    tracker = started(["wandb"], run, task)
    tracker.end(None)
    calls = [json.loads(line) for line in wandb.read_text().splitlines()]
    assert ["summary", {"test_last/accuracy": 0.5, "test_last/loss": 1.0}] in calls
    assert [said[1] for said in calls if said[0] == "finish"] == [0, 1]


def test_a_tracker_that_does_not_start_says_why(wandb: Path, run: RunDir, task: Task) -> None:
    module = wandb.parent / "packages" / "wandb" / "__init__.py"
    module.write_text("def init(**settings): raise RuntimeError('no API key\\nhelp')")
    with pytest.raises(UserError, match=r"^wandb does not start: no API key; WANDB_MODE=offline"):
        started(["wandb"], run, task)


def test_tensorboard_shows_each_epoch_once(run: RunDir, task: Task) -> None:
    """Also when the run was killed after it had written more than its checkpoint knows."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = started(["tensorboard"], run, task)
    for epoch in (1, 2, 3):
        tracker.epoch(row(epoch))
    tracker.end(None)
    append_json_line(run.metrics_file, row(1))
    tracker = started(["tensorboard"], run, task)
    for epoch in (2, 3, 4):
        tracker.epoch(row(epoch))
    tracker.end(RESULT)
    folder = run.path.parent / "tensorboard" / task.run_id
    assert not list(run.path.glob("events*"))
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert events.Scalars("train/loss")[3].value == pytest.approx(1 / 4)
    (final,) = events.Scalars("test_last/accuracy")
    assert (final.step, final.value) == (3, 0.5)

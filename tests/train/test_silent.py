"""A worker that is stopped and wakes up again, after another one has taken its run."""

import multiprocessing
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from petl.config.options import Options
from petl.runs import claim
from petl.runs.directory import RunDir
from petl.train.run import run_task

EACH_STEP = Options(threads=1, checkpoint_minutes=0)
EPOCHS = 25


@pytest.fixture
def task(tasks):
    task = next(task for task in tasks if task.names.method == "linear")
    train = type(task.train).model_validate(task.train.model_dump() | {"epochs": EPOCHS})
    return task.model_copy(update={"train": train, "weights": "last"})


def work(task, places):
    claim.TOUCH_S = 0.0
    run_task(task, places, EACH_STEP)


def contents(run):
    return {file.name: file.read_bytes() for file in run.path.iterdir()}


def until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def stopped_worker(task, places, run, after_s):
    """A process that trains, and sleeps since some moment after its second epoch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["petl.train.run", "transformers"])
    worker = context.Process(target=work, args=(task, places))
    worker.start()
    until(lambda: len(run.metrics()) > 1)
    time.sleep(after_s)
    os.kill(worker.pid, signal.SIGSTOP)
    until(lambda: stopped(worker.pid))
    return worker


def stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def woken(worker):
    with suppress(ProcessLookupError):  # it has left already
        os.kill(worker.pid, signal.SIGCONT)
    worker.join(30)
    assert worker.exitcode is not None
    return worker.exitcode


def short_patience(monkeypatch):
    for name in ("SILENT_S", "TOUCH_S", "LATE_S"):
        monkeypatch.setattr(claim, name, 0.1)
    monkeypatch.setattr(claim, "EPOCHS", 1)


@pytest.mark.slow
def test_a_stopped_worker_is_silent_and_leaves_no_trace_when_it_wakes(task, own_runs, monkeypatch):
    run = RunDir.of(task, own_runs.runs)
    worker = stopped_worker(task, own_runs, run, 0.0)
    try:
        assert run.state().kind == "running"
        with monkeypatch.context() as patience:
            short_patience(patience)
            until(lambda: run.state().kind == "silent")
            assert "no sign of life since" in run.state().reason
            assert run.revoke()
        assert run.state().kind == "stopped"
        run_task(task, own_runs, EACH_STEP)
        before = contents(run)
        assert woken(worker) == 1
        assert contents(run) == before
        assert "failure.json" not in before
        assert [row["epoch"] for row in run.metrics()] == list(range(1, EPOCHS + 1))
    finally:
        worker.kill()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_whenever_it_was_stopped_and_whenever_it_wakes(task, own_runs, monkeypatch, seed):
    """It wakes while the other one trains: both want to write in the same folder."""
    draw = random.Random(seed)
    run = RunDir.of(task, own_runs.runs)
    worker = stopped_worker(task, own_runs, run, draw.uniform(0, 0.2))
    wake_in = draw.randrange(4, 12)

    def wake(row):
        if row["epoch"] == max(wake_in, first + 2):
            os.kill(worker.pid, signal.SIGCONT)

    try:
        with monkeypatch.context() as patience:
            short_patience(patience)
            until(lambda: run.state().kind == "silent" or run.result())
            run.revoke()
        first = len(run.metrics())
        run_task(task, own_runs, EACH_STEP, on_epoch=wake)
        woken(worker)
        left = {file.name for file in run.path.iterdir()}
        whole = {"task.json", "metrics.jsonl", "result.json", "weights.safetensors", "log.txt"}
        assert left == whole
        assert [row["epoch"] for row in run.metrics()] == list(range(1, EPOCHS + 1))
    finally:
        worker.kill()

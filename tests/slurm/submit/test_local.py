"""Local jobs with real processes that really train, on a tiny backbone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from made_runs import failed, finished
from tiny import LONG, ROOT, SHORT, Make, until
from typer.testing import CliRunner

from petl.cli import app
from petl.config.options import Options
from petl.config.study import Study
from petl.errors import UserError
from petl.places import Places
from petl.runs.claim import RunIsTaken, holder, is_alive
from petl.runs.directory import RunDir
from slurm.manifest import read_manifest, write_manifest
from slurm.node.runs import local_run
from slurm.node.stop import Stop
from slurm.status.plan import Plan
from slurm.submit import here, local

Submit = Callable[[Study, int], "subprocess.Popen[str]"]


@pytest.fixture
def submit(places: Places) -> Iterator[Submit]:
    """As typed in a terminal: a process group of its own, which Ctrl-C reaches as a whole."""
    started: list[subprocess.Popen[str]] = []

    def start(study: Study, workers: int) -> subprocess.Popen[str]:
        folders = ["--runs", places.runs, "--data", places.data, "--cache", places.cache]
        command = [sys.executable, "-m", "petl.cli", "submit", study.path, *folders]
        process = subprocess.Popen(
            [*map(str, command), "--local", str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_one_failure_stops_nobody_and_only_it_is_tried_again(make: Make, places: Places) -> None:
    """Of three runs the first diverges; two work at a time."""
    rule = "when: [{method: lora, set: {train: {lr: 1e+30}}}]\n"
    loaded = make("[lora, linear]", "[0, 1]", SHORT, rule + "except: [{method: lora, fold: 1}]\n")
    plan = Plan(loaded, places.runs)
    bad, *good = plan.items
    most = 0

    def count(remark: str) -> None:
        nonlocal most
        most = max(most, plan.counts()["running"])

    local.run_local(plan, places, 2, count)
    assert most == 2
    assert [item.kind for item in plan.items] == ["failed", "done", "done"]
    assert "the loss is" in bad.state.reason
    assert "Traceback" in bad.log.read_text()
    assert [item.task for item in Plan(loaded, places.runs).to_run()] == [bad.task]

    left = {path.name for item in good for path in item.run.path.iterdir()}
    assert left == {"task.json", "metrics.jsonl", "result.json", "log.txt", "weights.safetensors"}
    (jobs,) = (places.runs / "tiny" / "jobs").iterdir()
    left = {path.name for path in jobs.iterdir()}
    assert left == {"manifest.jsonl", f"{bad.task.run_id}.log"}


@pytest.mark.slow
def test_ctrl_c_ends_every_process_and_says_how_to_go_on(
    make: Make, places: Places, submit: Submit
) -> None:
    loaded = make("linear", "[0, 1, 2]", LONG)
    runs = [RunDir.of(task, places.runs) for task in loaded.tasks]
    process = submit(loaded, 2)
    until(lambda: all(run.metrics() for run in runs[:2]))
    workers = [holder(run.claim_file)["pid"] for run in runs[:2]]
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert err.startswith("petl: stopped; finished runs are kept; ")
    assert err.endswith(f"`petl submit {loaded.path}` submits the rest\n")
    assert [run.state().kind for run in runs] == ["stopped", "stopped", "waiting"]
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not any(run.claim_file.exists() for run in runs)
    assert not any((places.runs / "tiny" / "jobs").iterdir())


@pytest.mark.slow
def test_a_submit_that_is_killed_outright_leaves_runs_the_next_one_respects(
    make: Make, places: Places, submit: Submit
) -> None:
    loaded = make("linear", "0", LONG)
    run = RunDir.of(loaded.tasks[0], places.runs)
    process = submit(loaded, 1)
    until(run.metrics)
    process.kill()
    process.wait()
    seen = len(run.metrics())
    until(lambda: len(run.metrics()) > seen)  # it goes on
    assert Plan(loaded, places.runs).to_run() == []
    again = submit(loaded, 1)
    assert again.communicate(timeout=30)[0] == "0 of 1 done, 1 running, nothing to do\n"
    os.kill(holder(run.claim_file)["pid"], signal.SIGTERM)
    until(lambda: not is_alive(run.claim_file))
    assert run.state().kind == "stopped"


@pytest.mark.slow
def test_a_job_that_dies_without_a_word_is_a_failure(make: Make, places: Places) -> None:
    plan = Plan(make("linear", "0", LONG), places.runs)
    (item,) = plan.items
    kinds = []

    def kill_it(remark: str) -> None:
        kinds.append(item.kind)
        if item.state.epoch:
            os.kill(holder(item.run.claim_file)["pid"], signal.SIGKILL)

    local.run_local(plan, places, 1, kill_it)
    assert set(kinds) == {"waiting", "running"}
    assert (item.kind, item.state.reason) == ("failed", "its process died (out of memory?)")
    assert item.log.exists() and "jobs" in item.log.parts


def test_a_failure_is_told_at_the_end_and_in_the_exit_code(
    make: Make, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_fails(plan: Plan, *_: object) -> None:
        failed(plan.items[0].task, places.runs, "no luck")
        for item in plan.items[1:]:
            finished(item.task, places.runs)
        for item in plan.items:
            item.look()

    loaded = make("linear", "all", SHORT)
    monkeypatch.setattr(here, "run_local", one_fails)
    folders = ["--runs", places.runs, "--data", places.data, "--cache", places.cache]
    told = CliRunner().invoke(app, ["submit", *map(str, [loaded.path, "--local", 1, *folders])])
    assert (told.exit_code, told.stderr) == (1, "")
    assert "4 of 5 done, 1 failed; took" in told.stdout
    assert "no luck" in told.stdout and "log.txt" in told.stdout


def test_when_all_is_done_no_job_file_is_left(make: Make, places: Places) -> None:
    loaded = make("linear", "all", SHORT)
    for task in loaded.tasks:
        finished(task, places.runs)
    folders = [places.runs / "tiny" / "jobs" / name for name in ("killed", "mine")]
    for folder in folders:
        folder.mkdir(parents=True)
    local._tidy(folders[1], Plan(loaded, places.runs), over=True)
    assert not folders[0].parent.exists()


def test_a_manifest_gives_back_what_was_written(make: Make, places: Places, tmp_path: Path) -> None:
    tasks = make("[linear, conformer-pfeiffer]", "all", SHORT).tasks
    path = manifest_of_tiny(tmp_path)
    options = Options(threads=3, track=("tensorboard",))
    write_manifest(path, tasks, options)
    for index, task in enumerate(tasks):
        assert read_manifest(path, index) == (task, options)


def test_a_job_leaves_a_run_that_is_taken_to_its_holder(
    make: Make, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: object, stop: object) -> None:
        raise RunIsTaken("somebody works on it")

    monkeypatch.setattr("petl.train.run.run_task", taken)
    path = manifest_of_tiny(tmp_path)
    write_manifest(path, make("linear", "0", SHORT).tasks, Options())
    assert local_run(path, 0, places, Stop()) == 0


def manifest_of_tiny(runs: Path) -> Path:
    folder = runs / "tiny" / "jobs" / "now"
    folder.mkdir(parents=True)
    return folder / "manifest.jsonl"


def test_gpus_are_those_that_cuda_would_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert (local.gpus(), local.default_workers()) == ([2, 0], 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(local, "free", lambda: 3)
    assert (local.gpus(), local.default_workers()) == ([], 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937")
    with pytest.raises(UserError, match="give numbers, such as 0,1"):
        local.gpus()


def test_a_folder_that_cannot_be_written_is_one_line(
    make: Make, places: Places, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    plan = Plan(make("linear", "0", SHORT), tmp_path / "file")
    with pytest.raises(UserError, match="not a directory"):
        local.run_local(plan, Places(tmp_path / "file", places.data, places.cache), 1, print)

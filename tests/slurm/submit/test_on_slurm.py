"""A study through a real Slurm: the same numbers, each run once, the throttle kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tiny import LONG, ROOT, SHORT, Make, environment, numbers, petl, runs, start, until

from petl.config.study import Study
from petl.places import Places
from slurm.devcluster import DevCluster
from slurm.status.plan import Plan
from slurm.submission import submissions
from slurm.submit import local, threads

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

HELD = "sbatch: {hold: true}"
PROFILE = "{partition: gpu, gpus: 1, cpus: 1, mem_gb: 2, time: 30, signal_lead_s: 10"


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return written(tmp_path, "")


@pytest.fixture
def holding(tmp_path: Path) -> Path:
    """Its jobs stay in the queue: what is submitted can be counted."""
    return written(tmp_path, HELD)


def written(folder: Path, more: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(f"{PROFILE}{', ' if more else ''}{more}}}\n")
    return path


def submitted(study: Study, places: Places) -> Counter[str]:
    """How often each run was submitted, abandoned arrays not counted."""
    known = submissions(places.runs / study.name / "slurm")
    return Counter(
        run
        for submission in known
        for index, run in enumerate(submission.record.runs)
        if submission.job(index)
    )


def all_done(study: Study, places: Places) -> bool:
    return all(run.result_file.exists() for run in runs(study, places))


def test_arrays_give_the_numbers_of_the_local_executor_and_keep_the_throttle(
    make: Make, places: Places, in_cluster: DevCluster, tmp_path: Path
) -> None:
    loaded = make("[linear, lora]", "[0, 1, 2]", SHORT)
    profile = written(tmp_path, "throttle: 3, max_array_size: 4")
    told = petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    assert "6 new" in told and "2 arrays" in told
    most, seen = 0, set[str]()

    def look() -> bool:
        nonlocal most
        rows = in_cluster.run("squeue", "-h", "-r", "-t", "R,CG", "-o", "%i %b").splitlines()
        most = max(most, len(rows))
        seen.update(row.split()[1] for row in rows)
        return all_done(loaded, places)

    until(look, 120)
    assert most == 3 and seen == {"gres:gpu:1"}

    here = Places(tmp_path / "here", places.data, places.cache)
    local.run_local(Plan(loaded, here.runs), here, threads.cpus(), lambda remark: None)
    for there, here_ in zip(runs(loaded, places), runs(loaded, here), strict=True):
        assert numbers(there) == numbers(here_)
        assert {path.name for path in there.path.iterdir()} == {
            path.name for path in here_.path.iterdir()
        }
    assert not list(places.runs.rglob("*.pkl"))
    told = petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    assert told == "6 done\nnothing to submit\n"
    assert petl("status", loaded.path, places=places).endswith("6 of 6 done\n")


def test_runs_packed_into_jobs_end_as_if_alone(
    make: Make, places: Places, in_cluster: DevCluster, tmp_path: Path
) -> None:
    loaded = make("linear", "all", SHORT)
    profile = written(tmp_path, "tasks_per_job: 3, side_by_side: 2")
    told = petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    assert "5 new" in told and "2 jobs in 1 array" in told
    until(lambda: all_done(loaded, places), 120)
    here = Places(tmp_path / "here", places.data, places.cache)
    local.run_local(Plan(loaded, here.runs), here, threads.cpus(), lambda remark: None)
    for there, here_ in zip(runs(loaded, places), runs(loaded, here), strict=True):
        assert numbers(there) == numbers(here_)
    jobs = {run.result()["environment"]["slurm"]["job_id"] for run in runs(loaded, places)}
    assert len(jobs) == 2


def test_what_is_submitted_while_others_run_waits_until_the_throttle_has_room(
    make: Make, places: Places, in_cluster: DevCluster, tmp_path: Path
) -> None:
    def running() -> list[str]:
        return in_cluster.run("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%F_%K").split()

    profile = written(tmp_path, "throttle: 2")
    for folds in ("[0, 1]", "[0, 1, 2]"):
        loaded = make("linear", folds, LONG)
        petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
        until(lambda: len(running()) == 2)
    before = set(running())
    until(lambda: len(in_cluster.run("squeue", "-h", "-r", "-t", "PENDING").splitlines()) == 1)
    end = time.monotonic() + 4  # twice what the scheduler needs to start what may start
    while time.monotonic() < end:
        assert set(running()) == before
    for job in sorted(before):
        in_cluster.run("scancel", job)
    until(lambda: running() and not before & set(running()))


def test_two_submitters_at_once_submit_each_run_once(
    make: Make, places: Places, in_cluster: DevCluster, holding: Path
) -> None:
    loaded = make("linear", "all", LONG)
    command = ("submit", loaded.path, "--cluster", holding, "--yes")
    both = [start(*command, places=places) for _ in range(2)]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert set(submitted(loaded, places).values()) == {1}
    assert len(in_cluster.run("squeue", "-h", "-r").splitlines()) == 5
    assert "nothing to submit" in petl(*command, places=places)


STEPS = {
    "before the folder": "slurm.submit.sbatch.write_manifest",
    "before the submission record": "slurm.submission.Submission.write",
    "before the script": "slurm.submit.sbatch.job_script",
    "before sbatch": "slurm.submit.sbatch.run",
    "before the job number": "slurm.submission.Submission.note",
}
DIES = """
import importlib, os, signal, sys
name, calls = sys.argv.pop(1), int(sys.argv.pop(1))
room, _, last = name.rpartition(".")
try:
    owner = importlib.import_module(room)
except ModuleNotFoundError:
    module, _, cls = room.rpartition(".")
    owner = getattr(importlib.import_module(module), cls)
real = getattr(owner, last)
def dies(*arguments, **named):
    global calls
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)
    calls -= 1
    return real(*arguments, **named)
setattr(owner, last, dies)
from petl.cli import main
main()
"""


ONCE = ("before the folder", "before the submission record")


@pytest.mark.parametrize(
    ("step", "chunk"),
    [(step, chunk) for step in STEPS for chunk in (0, 1) if not (chunk and step in ONCE)],
)
def test_a_submitter_killed_at_any_step_loses_nothing_and_doubles_nothing(
    make: Make, places: Places, in_cluster: DevCluster, tmp_path: Path, step: str, chunk: int
) -> None:
    """Two arrays: killed on the way to the first, or between the two."""
    profile = written(tmp_path, f"{HELD}, max_array_size: 3")
    loaded = make("linear", "all", LONG)
    command = ["submit", str(loaded.path), "--cluster", str(profile), "--yes"]
    killed = subprocess.run(
        [sys.executable, "-c", DIES, STEPS[step], str(chunk), *command],
        env={**os.environ, **environment(places)},
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed
    before = len(in_cluster.run("squeue", "-h", "-r").splitlines())
    assert before == {"before the job number": 3 + 2 * chunk}.get(step, 3 * chunk)
    told = petl(*command, places=places)
    assert len(in_cluster.run("squeue", "-h", "-r").splitlines()) == 5, told
    assert set(submitted(loaded, places).values()) == {1}
    assert "nothing to submit" in petl(*command, places=places)


def test_an_abandoned_array_that_starts_after_all_does_nothing(
    make: Make, places: Places, in_cluster: DevCluster, profile: Path
) -> None:
    """As if sbatch had been under way while the next submitter looked."""
    loaded = make("linear", "0", SHORT)
    petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    until(lambda: all_done(loaded, places))
    (submission,) = submissions(places.runs / "tiny" / "slurm")
    for run in runs(loaded, places):
        run.result_file.unlink()
    submission.note(0, None)
    job = in_cluster.run("sbatch", "--parsable", str(submission.script(0))).strip()
    until(lambda: not in_cluster.run("squeue", "-h").strip())
    assert "submitted its runs again" in submission.log(f"{job}_0").read_text()
    assert not all_done(loaded, places)


def test_the_profile_that_init_writes_for_a_cluster_takes_its_jobs(
    make: Make, places: Places, in_cluster: DevCluster, tmp_path: Path
) -> None:
    loaded, profile = make("linear", "[0, 1]", SHORT), tmp_path / "mine.yaml"
    told = petl("init", "--cluster", "--out", profile, places=places)
    assert profile.read_text() in told and "partition: " in told
    petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    until(lambda: all_done(loaded, places), 120)

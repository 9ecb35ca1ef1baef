"""What a job does on its node, without a cluster: its environment is all it sees of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import LONG, SHORT, Make, runs

from petl.config.options import Options
from petl.config.study import Study
from petl.files import read_json
from petl.places import Places
from slurm.call import python_arguments
from slurm.exits import HOLD, INTERRUPTED
from slurm.node.runs import array_job, run_one
from slurm.node.stop import Stop
from slurm.status.plan import Plan
from slurm.submission import Submission
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Batch, Cluster, prepare


def submission(study: Study, places: Places, **settings: object) -> Submission:
    profile = Profile(time="10", max_array_size=100, **settings)
    plan = Plan(study, places.runs)
    cluster = Cluster("here", profile, places, Options(threads=1))
    return prepare(plan, Batch(plan.items, profile.mem_gb), cluster)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    return monkeypatch


def told() -> Stop:
    stop = Stop()
    stop.requested = True
    return stop


def test_a_run_that_never_gets_anywhere_stops(
    make: Make, places: Places, job: pytest.MonkeyPatch
) -> None:
    """Requeued again and again before it has written anything."""
    loaded = make("linear", "0", LONG)
    made = submission(loaded, places, fruitless_requeues=2)
    codes = []
    for restarts in ("", "1", "2"):
        job.setenv("SLURM_RESTART_COUNT", restarts)
        codes.append(run_one(made, 0, places, told()))
    assert codes == [INTERRUPTED, INTERRUPTED, 1]
    (run,) = runs(loaded, places)
    failure = read_json(run.failure_file)
    assert failure["class"] == "no-progress"
    assert failure["message"].startswith("started 3 times without reaching a new checkpoint")


def test_whatever_writes_checkpoints_may_be_requeued_for_ever(
    make: Make, places: Places, job: pytest.MonkeyPatch
) -> None:
    loaded = make("linear", "0", LONG)
    made = submission(loaded, places, fruitless_requeues=1)
    (run,) = runs(loaded, places)
    run.path.mkdir(parents=True)
    for restarts in range(5):
        job.setenv("SLURM_RESTART_COUNT", str(restarts))
        run.resume_file.write_text(str(restarts))
        assert run_one(made, 0, places, told()) == INTERRUPTED
    assert not run.failure_file.exists()


def test_the_third_failure_of_one_kind_asks_for_a_hold(
    make: Make, places: Places, job: pytest.MonkeyPatch
) -> None:
    bad = "when: [{method: linear, set: {backbone: {source: /nowhere/at/all}}}]\n"
    made = submission(make("linear", "all", SHORT, bad), places, hold_after=3)
    assert [run_one(made, index, places, Stop()) for index in range(4)] == [1, 1, HOLD, HOLD]
    assert len(list(made.folder.glob("failed-*"))) == 3


def test_a_job_imports_nothing_from_the_folder_it_starts_in(
    make: Make, places: Places, tmp_path: Path
) -> None:
    made = submission(make("linear", "0", SHORT), places)
    made.note(0, None)
    for name in ("json", "random", "petl", "slurm", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')\n")
    words = (made.manifest, 0, places.data, places.cache)
    arguments = python_arguments("slurm.node.job:array_job", *words)
    job = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (job.returncode, job.stderr) == (0, "")
    assert "did not find this array" in job.stdout


@pytest.mark.slow
@pytest.mark.parametrize("side_by_side", [1, 2])
def test_several_runs_in_a_job_end_as_if_alone(
    make: Make, places: Places, job: pytest.MonkeyPatch, side_by_side: int
) -> None:
    """The first diverges, and nobody else is bothered; the job can come back for the rest."""
    rule = "when: [{method: lora, set: {train: {lr: 1e+30}}}]\n"
    loaded = make("[lora, linear]", "[0]", SHORT, rule)
    made = submission(loaded, places, tasks_per_job=2, side_by_side=side_by_side)
    assert made.size(0) == 1
    assert array_job(made.manifest, 0, places, Stop()) == 1
    bad, good = runs(loaded, places)
    assert read_json(bad.failure_file)["class"] == "diverged"
    assert good.result() is not None
    before = bad.log_file.read_text()
    assert array_job(made.manifest, 0, places, Stop()) == 1
    assert bad.log_file.read_text() == before


def test_a_packed_job_that_is_told_to_leave_wants_to_come_back(
    make: Make, places: Places, job: pytest.MonkeyPatch
) -> None:
    made = submission(make("linear", "all", LONG), places, tasks_per_job=5)
    assert array_job(made.manifest, 0, places, told()) == INTERRUPTED
    assert not any(run.path.exists() for run in runs(made_study(made), places))


def made_study(made: Submission) -> Study:
    from petl.config.study import load_study

    return load_study(Path(made.record.study))

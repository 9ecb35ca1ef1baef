"""What happens to jobs on a cluster, done to jobs on a real Slurm."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import Make, numbers, petl, runs, until

from petl.config.study import Study
from petl.places import Places
from petl.runs.claim import holder
from petl.runs.directory import RunDir
from slurm.devcluster import DevCluster
from slurm.status.plan import Item, Plan

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

EPOCHS = 150
"""Some seconds: long enough to be disturbed, short enough to be waited for."""
Submit = Callable[..., Study]


@pytest.fixture
def submit(make: Make, places: Places, in_cluster: DevCluster, tmp_path: Path) -> Submit:
    def submit(folds: str = "0", epochs: int = EPOCHS, more: str = "", rules: str = "") -> Study:
        profile = {"partition": "gpu", "cpus": "1", "mem_gb": "2", "time": "30", "requeue": "true"}
        profile |= dict(pair.split(": ") for pair in more.split(", ") if pair)
        path = tmp_path / "cluster.yaml"
        path.write_text("".join(f"{key}: {value}\n" for key, value in profile.items()))
        loaded = make("linear", folds, epochs, rules)
        petl("submit", loaded.path, "--cluster", path, "--yes", places=places)
        return loaded

    return submit


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    from tiny import write_study

    from petl.config.options import Options
    from petl.train.run import run_task

    folder = tmp_path_factory.mktemp("undisturbed")
    study = write_study(folder / "tiny.yaml", "linear", "0", EPOCHS)
    places = Places(folder / "runs", prepared / "data", prepared / "cache")
    run_task(study.tasks[0], places, Options(threads=1))
    return RunDir.of(study.tasks[0], places.runs)


def first(study: Study, places: Places) -> Item:
    return Plan(study, places.runs).items[0]


def at_work(run: RunDir) -> bool:
    return len(run.metrics()) > 1 and run.claim_file.exists()


def job_of(cluster: DevCluster) -> str:
    return cluster.run("squeue", "-h", "-t", "RUNNING", "-o", "%i").split()[0]


@pytest.mark.parametrize("wish", ["USR2", "TERM", "TERM twice"])
def test_told_to_leave_a_run_goes_on_later_with_the_same_numbers(
    submit: Submit, places: Places, in_cluster: DevCluster, undisturbed: RunDir, wish: str
) -> None:
    study = submit()
    (run,) = runs(study, places)
    until(lambda: at_work(run))
    for _ in wish.split():
        in_cluster.run("scancel", f"--signal={wish.split()[0]}", job_of(in_cluster))
    until(lambda: first(study, places).kind == "pending")
    assert run.resume_file.exists() and not run.claim_file.exists()
    until(run.result_file.exists)
    assert numbers(run) == numbers(undisturbed)
    result = run.result()
    assert result and result["timing"]["tries"] == 2
    assert result["environment"]["slurm"]["restarts"] == 1
    assert not (run.path / "requeues.json").exists()


def test_a_preempted_run_comes_back_by_itself(
    submit: Submit, places: Places, in_cluster: DevCluster, undisturbed: RunDir
) -> None:
    study = submit(more="partition: killable")
    (run,) = runs(study, places)
    until(lambda: at_work(run))
    everything = ("--nodes=4", "--gres=gpu:2", "--exclusive", "--wrap=srun sleep 2")
    in_cluster.run("sbatch", "--partition=urgent", "--output=/dev/null", *everything)
    until(lambda: first(study, places).kind == "pending")
    assert not run.claim_file.exists() and run.resume_file.exists()
    until(run.result_file.exists)
    assert numbers(run) == numbers(undisturbed)


def test_a_cancelled_run_stays_cancelled_until_it_is_submitted_again(
    submit: Submit, places: Places, in_cluster: DevCluster, undisturbed: RunDir, tmp_path: Path
) -> None:
    study = submit()
    (run,) = runs(study, places)
    until(lambda: at_work(run))
    told = petl("cancel", study.path, "fold=0", "--yes", places=places)
    assert "1 job of" in told
    until(lambda: not in_cluster.run("squeue", "-h").strip())
    item = first(study, places)
    assert (item.kind, item.state.cause) == ("stopped", "cancelled")
    assert run.resume_file.exists()
    told = petl("submit", study.path, "--cluster", tmp_path / "cluster.yaml", "-y", places=places)
    assert "1 to retry: 1 cancelled" in told
    until(run.result_file.exists)
    assert numbers(run) == numbers(undisturbed)


def test_a_killed_python_is_told_as_such_and_goes_on_when_submitted_again(
    submit: Submit, places: Places, in_cluster: DevCluster, undisturbed: RunDir, tmp_path: Path
) -> None:
    study = submit()
    (run,) = runs(study, places)
    until(lambda: at_work(run))
    os.kill(holder(run.claim_file)["pid"], signal.SIGKILL)
    until(lambda: first(study, places).state.cause == "killed")
    assert "killed (out of memory?)" in petl("status", study.path, places=places)
    petl("submit", study.path, "--cluster", tmp_path / "cluster.yaml", "--yes", places=places)
    until(run.result_file.exists)
    assert numbers(run) == numbers(undisturbed)


def test_a_time_limit_is_met_by_a_checkpoint_and_a_requeue(
    submit: Submit, places: Places, in_cluster: DevCluster
) -> None:
    study = submit(epochs=4000, more="partition: short, time: 1, signal_lead_s: 50")
    (run,) = runs(study, places)
    until(lambda: "requeue" in first(study, places).state.reason, 90)
    assert run.resume_file.exists()
    assert run.metrics() and not run.claim_file.exists()


def test_after_three_failures_of_one_kind_the_rest_is_held_and_the_user_told(
    submit: Submit, places: Places, in_cluster: DevCluster, tmp_path: Path
) -> None:
    """The backbone's folder is there, and nothing is in it."""
    empty = tmp_path / "empty"
    empty.mkdir()
    bad = f"when: [{{method: linear, set: {{backbone: {{source: {empty}}}}}}}]\n"
    study = submit(folds="all", more="throttle: 1", rules=bad)
    until(lambda: "held" in petl("status", study.path, places=places), 90)
    items = Plan(study, places.runs).items
    assert [item.kind for item in items] == ["failed"] * 3 + ["pending"] * 2
    assert items[4].state.reason == "held: other runs failed, all in the same way"
    assert items[0].state.cause == "bad-data"
    told = petl("submit", study.path, "--cluster", "devcluster", "--yes", places=places)
    assert "3 left alone: 3 mistake in the data or the study" in told
    assert "nothing to submit" in told
    told = petl("retry", study.path, "--yes", "--cluster", "devcluster", places=places)
    assert "released 2 held runs" in told and "submitted 3 runs" in told

"""What a person types about jobs, against a real Slurm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_runs import finished, stopped
from tiny import LONG, Make, petl, runs, start, until

from petl.places import Places
from slurm.devcluster import DevCluster
from slurm.status.plan import Plan
from slurm.submission import submissions

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text("{partition: gpu, cpus: 1, mem_gb: 2, time: 30, throttle: 2}\n")
    return path


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """Nothing starts: what is in the queue can be counted."""
    path = tmp_path / "held.yaml"
    path.write_text("{time: 30, sbatch: {hold: true}, tasks_per_job: 2}\n")
    return path


def queue(cluster: DevCluster) -> list[str]:
    return cluster.run("squeue", "-h", "-r", "-o", "%K %m").splitlines()


def test_status_ls_and_logs_tell_of_a_run_from_the_queue_to_its_end(
    make: Make, places: Places, in_cluster: DevCluster, profile: Path
) -> None:
    loaded = make("linear", "[0, 1, 2]", 40)
    petl("submit", loaded.path, "--cluster", profile, "--yes", places=places)
    first, _, last = runs(loaded, places)
    until(lambda: "throttle" in petl("status", places=places))  # of all submitted from here
    assert "0 of 3 done" in petl("status", places=places)
    assert petl("ls", loaded.path, "state=pending", places=places).startswith(last.path.name)
    follow = start("logs", loaded.path, "fold=0", "-f", places=places)
    watch = start("status", loaded.path, "--watch", places=places)
    until(lambda: all(run.result_file.exists() for run in runs(loaded, places)), 120)
    out, err = follow.communicate(timeout=30)
    assert "epoch 40" in out and "done:" in out and not err
    out, err = watch.communicate(timeout=30)
    assert out.splitlines()[-1].endswith("tiny: 3 of 3 done") and not err
    assert "epoch 40" in petl("logs", first.path.name[:8], places=places)
    told = petl("logs", loaded.path, places=places, code=2)
    assert "3 runs match; select one by the first digits of its id" in told
    told = petl("status", loaded.path, "--cost", places=places)
    assert [line.split()[0] for line in told.splitlines()[1:]] == ["made-sounds", "total"]
    result = first.result()
    assert result and result["environment"]["slurm"]["node"].startswith("node")
    assert result["environment"]["slurm"]["gpus"] == 1


def test_cancel_takes_out_what_is_selected_and_says_who_comes_along(
    make: Make, places: Places, in_cluster: DevCluster, held: Path
) -> None:
    """Two runs to a job."""
    loaded = make("linear", "all", LONG)
    petl("submit", loaded.path, "--cluster", held, "--yes", places=places)
    assert len(queue(in_cluster)) == 3
    told = petl("cancel", loaded.path, "fold=1", "--yes", places=places)
    assert "1 job of" in told and "shared with 1 other run" in told
    assert [line.split()[0] for line in queue(in_cluster)] == ["1", "2"]
    kinds = [item.kind for item in Plan(loaded, places.runs).items]
    assert kinds == ["stopped"] * 2 + ["pending"] * 3
    petl("cancel", loaded.path, "--yes", places=places)
    assert queue(in_cluster) == []


def test_retry_asks_for_more_and_leaves_the_others_alone(
    make: Make, places: Places, in_cluster: DevCluster, held: Path
) -> None:
    loaded = make("linear", "all", LONG)
    petl("submit", loaded.path, "--cluster", held, "--yes", places=places)
    petl("cancel", loaded.path, "--yes", places=places)
    again = ("retry", loaded.path, "fold=3", "--set", "resources.mem_gb=3", "--yes")
    assert f"pass --cluster {held}" in petl(*again, places=places, code=2)
    told = petl(*again, "--cluster", held, places=places)
    assert "submitted 1 run" in told
    (row,) = queue(in_cluster)
    assert row == "0 3G"


def test_nothing_is_submitted_without_a_yes(
    make: Make, places: Places, in_cluster: DevCluster, held: Path
) -> None:
    loaded = make("linear", "all", LONG)
    told = petl("submit", loaded.path, "--cluster", held, places=places, code=2)
    assert "5 new" in told and "3 jobs in 1 array" in told and "--yes" in told
    told = petl("submit", loaded.path, "--cluster", held, "--print-script", places=places)
    assert "#SBATCH --array=0-2" in told
    assert queue(in_cluster) == [] and not submissions(places.runs / "tiny" / "slurm")


def test_sbatch_refusing_is_told_and_leaves_nothing_half_done(
    make: Make, places: Places, in_cluster: DevCluster, held: Path
) -> None:
    loaded = make("linear", "all", LONG)
    held.write_text("{time: 30, partition: nowhere}\n")
    told = petl("submit", loaded.path, "--cluster", held, "--yes", places=places, code=2)
    assert "petl: sbatch: Batch job submission failed: Invalid partition" in told
    assert {item.kind for item in Plan(loaded, places.runs).items} == {"waiting"}


def test_without_a_scheduler_status_says_what_it_still_can(
    make: Make,
    places: Places,
    in_cluster: DevCluster,
    held: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody listens at the controller's address."""
    loaded = make("linear", "all", LONG)
    petl("submit", loaded.path, "--cluster", held, "--yes", places=places)
    stopped(loaded.tasks[0], places.runs, 3)
    text = in_cluster.layout.slurm_conf.read_text()
    text = re.sub(r"(SlurmctldPort|MessageTimeout)=.*", r"\1=2", text)
    (tmp_path / "slurm.conf").write_text(text)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    told = petl("status", loaded.path, places=places)
    assert (
        "warning: squeue: Unable to contact slurm controller" in told
        and "5 unknown" in told
        and "Traceback" not in told
    )
    told = petl("submit", loaded.path, "--cluster", held, "--yes", places=places)
    assert "5 unknown" in told and "nothing to submit" in told


def test_without_accounting_a_run_that_has_left_the_queue_is_lost_and_can_be_submitted(
    make: Make, places: Places, in_cluster: DevCluster, held: Path
) -> None:
    loaded = make("linear", "[0, 1]", LONG)
    petl("submit", loaded.path, "--cluster", held, "--yes", places=places)
    in_cluster.run("scancel", "--name", submissions(places.runs / "tiny" / "slurm")[0].name(0))
    in_cluster.kill_daemon("slurmdbd")
    try:
        told = petl("status", loaded.path, places=places)
        assert "2 lost" in told and "gone from squeue (sacct: " in told
        told = petl("submit", loaded.path, "--cluster", held, "--yes", places=places)
        assert "2 to retry: 2 lost" in told and "submitted 2 runs" in told
    finally:
        in_cluster.start_daemon("slurmdbd")


def test_clean_removes_what_is_over_and_no_finished_run(
    make: Make, places: Places, in_cluster: DevCluster, held: Path
) -> None:
    loaded = make("linear", "[0, 1]", LONG)
    petl("submit", loaded.path, "--cluster", held, "--yes", places=places)
    told = petl("clean", loaded.path, "--yes", places=places)
    assert told.endswith("nothing to clean\n")  # it is in the queue
    petl("cancel", loaded.path, "--yes", places=places)
    for task in loaded.tasks:
        finished(task, places.runs)
    (submission,) = submissions(places.runs / "tiny" / "slurm")
    smaller = make("linear", "0", LONG)
    told = petl("clean", smaller.path, places=places, code=2)
    assert "job files of submissions that are over" in told and submission.folder.exists()
    petl("clean", smaller.path, "--yes", places=places)
    assert not submission.folder.exists()
    assert all(run.result_file.exists() for run in runs(loaded, places))
    told = petl("clean", smaller.path, "--finished", "--yes", places=places)
    assert "FINISHED runs that are no longer in the study: " in told
    assert [run.result_file.exists() for run in runs(loaded, places)] == [True, False]

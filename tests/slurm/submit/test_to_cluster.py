"""A submit plans once, and plans again only when the first plan may be out of date."""

from __future__ import annotations

from pathlib import Path

import pytest

from petl.config.options import Options
from petl.config.study import Study
from petl.places import Places
from slurm.scheduler import Answer, ArrayTask, Job
from slurm.status.plan import Plan
from slurm.submission import submissions, submissions_folder
from slurm.submit import sbatch, to_cluster
from slurm.submit.policy import choose
from slurm.submit.profile import Profile
from slurm.submit.sbatch import Cluster

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast-small, method: lora, fold: [0, 1, 2, 3], seed: 1}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    places = Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")
    return Cluster("here", Profile(time="10", max_array_size=100), places, Options())


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Every plan that is made; the scheduler accepts all arrays and keeps them in its queue."""
    made: list[Plan] = []

    def queued(arrays: list[str]) -> Answer:
        return Answer(
            {ArrayTask(a, i): Job(f"12_{i}", "PENDING") for a in arrays for i in range(4)}
        )

    def plan(study: Study, runs: Path) -> Plan:
        made.append(Plan(study, runs))
        return made[-1]

    monkeypatch.setattr("slurm.status.plan.queued", queued)
    monkeypatch.setattr(sbatch, "run", lambda command, text="": "12\n")
    monkeypatch.setattr(to_cluster, "Plan", plan)
    return made


def submit(study: Study, cluster: Cluster, *, yes: bool) -> None:
    to_cluster.submit_to(cluster, study, lambda items: choose(items, cluster.profile), yes=yes)


def submitted(study: Study, cluster: Cluster) -> list[int]:
    """How many runs each submission has."""
    folder = submissions_folder(cluster.places.runs, study.name)
    return [len(submission.record.runs) for submission in submissions(folder)]


def test_with_yes_there_is_one_plan(study: Study, cluster: Cluster, plans: list[Plan]) -> None:
    submit(study, cluster, yes=True)
    assert (len(plans), submitted(study, cluster)) == (1, [4])
    submit(study, cluster, yes=True)
    assert (len(plans), submitted(study, cluster)) == (2, [4])


def test_after_a_quick_answer_the_plan_that_was_shown_is_submitted(
    study: Study, cluster: Cluster, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_cluster, "agrees", lambda question: True)
    submit(study, cluster, yes=False)
    assert (len(plans), submitted(study, cluster)) == (1, [4])


def test_while_a_person_thinks_another_may_submit_and_no_run_is_submitted_twice(
    study: Study,
    cluster: Cluster,
    plans: list[Plan],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def another_submits(question: str) -> bool:
        submit(study, cluster, yes=True)
        return True

    monkeypatch.setattr(to_cluster, "agrees", another_submits)
    submit(study, cluster, yes=False)
    assert (len(plans), submitted(study, cluster)) == (3, [4])
    assert "nothing left to submit: by now these runs" in capsys.readouterr().out


def test_after_a_slow_answer_the_plan_is_made_again(
    study: Study, cluster: Cluster, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_cluster, "agrees", lambda question: True)
    monkeypatch.setattr(to_cluster, "FRESH_S", 0)
    submit(study, cluster, yes=False)
    assert (len(plans), submitted(study, cluster)) == (2, [4])

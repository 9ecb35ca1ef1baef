"""The state of a run, from its directory, the scheduler and its heartbeat."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from made_runs import failed, finished, stopped
from rich.console import Console
from told_scheduler import Scheduler, submit

from petl.config.study import Study
from petl.files import read_json, write_json
from petl.runs.claim import Claim, clock
from petl.runs.directory import RunDir
from slurm.scheduler import Job, ranges, sacct_line, squeue_line
from slurm.status.plan import Plan
from slurm.status.view import progress, summary
from slurm.submit.policy import choose, difference
from slurm.submit.profile import Profile

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: lora, fold: [0, 1, 2, 3], seed: 1}
"""


def told(study: Study, runs: Path) -> list[tuple[str, str]]:
    return [(item.kind, item.state.reason) for item in Plan(study, runs).items]


def ago(run: RunDir, seconds: float) -> None:
    for file in run.path.iterdir():
        os.utime(file, (time.time() - seconds,) * 2)


def test_what_waits_and_what_runs_is_told_with_its_reason(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    scheduler.squeue = [
        "2-3%1|PENDING|2099-01-01T14:30:00||JobArrayTaskLimit",
        f"0|RUNNING|{time.strftime('%FT%T')}|node7|None",
        f"1|RUNNING|{time.strftime('%FT%T')}|node8|None",
    ]
    with Claim(stopped(study.tasks[0], runs, 6).claim_file):
        assert told(study, runs) == [
            ("running", "epoch 6/50, 44 s left"),
            ("running", "starting on node8"),
            ("pending", "throttle; starts about 2099-01-01 14:30"),
            ("pending", "throttle; starts about 2099-01-01 14:30"),
        ]


def test_a_silent_run_says_since_when_and_where(
    study: Study, runs: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its work, before its work, and not because of what an earlier try has left."""
    two_h = time.time() - 7200
    start, now = (time.strftime("%FT%T", time.localtime(when)) for when in (two_h, time.time()))
    scheduler.squeue = [
        f"0|RUNNING|{start}|node7|None",
        f"1|RUNNING|{start}|node8|None",
        f"2|RUNNING|{now}|node9|None",
        f"3|SUSPENDED|{start}|node9|None",
    ]
    for fold in (0, 2, 3):
        with Claim(stopped(study.tasks[fold], runs, 6).claim_file) as claim:
            held = read_json(claim.path)
        elsewhere = {"host": "gpu7", "boot": "another"} if fold != 3 else {}
        write_json(claim.path, held | elsewhere)
        os.utime(claim.path, (two_h + 600,) * 2)
    plan = Plan(study, runs)
    assert [item.kind for item in plan.items] == ["silent", "silent", "running", "pending"]
    since = [clock(two_h + 600), clock(two_h)]
    reasons = [item.state.reason for item in plan.items]
    assert reasons[0] == f"no sign of life since {since[0]} on node7; epoch 6/50, 44 s left"
    assert reasons[1] == f"no sign of life since {since[1]} on node8; epoch 1/50"
    assert reasons[2:] == ["starting on node9", "suspended on node9"]
    assert summary(plan) == "0 of 4 done, 1 running, 2 silent, 1 pending"
    choice = choose(plan.items, Profile(time="1"))
    assert not choice.to_submit
    assert difference(choice, plan.counts()) == "0 done, 1 running, 2 silent, 1 pending"


def test_what_a_running_job_does_instead_of_a_run_is_told(
    study: Study, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four runs in a job, one is at work, one was killed, and two have not begun."""
    scheduler = Scheduler(monkeypatch, submit(study, runs, per_job=4))
    start = time.strftime("%FT%T", time.localtime(time.time() - 60))
    scheduler.squeue = [f"0|RUNNING|{start}|node7|None"]
    stopped(study.tasks[0], runs, 2)
    assert told(study, runs)[0] == (
        "pending",
        "its process ended in epoch 3; job 12_0 on node7 is between two runs, or ends",
    )
    with Claim(stopped(study.tasks[1], runs, 1).claim_file):
        states = told(study, runs)
    does = f"job 12_0 on node7 works on {study.tasks[1].run_id[:8]}"
    assert states == [
        ("pending", f"its process ended in epoch 3; {does}"),
        ("running", "epoch 1/50, 49 s left"),
        ("pending", f"its turn comes; {does}"),
        ("pending", f"its turn comes; {does}"),
    ]


def test_a_job_that_waits_for_an_earlier_worker_says_so(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    scheduler.squeue = [f"0|RUNNING|{time.strftime('%FT%T')}|node8|None"]
    with Claim(stopped(study.tasks[0], runs, 6).claim_file) as claim:
        held = read_json(claim.path)
    write_json(claim.path, held | {"host": "gpu7", "boot": "another", "pid": 77})
    ago(RunDir.of(study.tasks[0], runs), 300)
    kind, reason = told(study, runs)[0]
    assert kind == "running"
    assert "epoch 6/50, 44 s left; job 12_0 on node8 waits for process 77 on gpu7" in reason


def test_a_job_that_no_node_could_start_says_so(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    scheduler.squeue = ["0-3|PENDING|N/A||launch failed requeued held"]
    reason = "held: a node could not start it; `petl retry` sends it to another one"
    assert told(study, runs)[0] == ("pending", reason)


def test_a_requeued_run_waits_and_says_how_often_it_did(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    scheduler.squeue = ["0-3|PENDING|N/A||Priority"]
    run = stopped(study.tasks[0], runs, 6)
    write_json(run.path / "requeues.json", {"times": 2, "fruitless": 0})
    assert told(study, runs)[0] == ("pending", "requeued 2 times; priority")


@pytest.mark.parametrize(
    ("line", "kind", "cause", "reason"),
    [
        ("OUT_OF_MEMORY|0:125|n1|T", "failed", "host-memory", "out of memory"),
        ("TIMEOUT|0:0|n1|T", "stopped", "time-limit", "time limit reached in epoch 3"),
        ("PREEMPTED|0:0|n1|T", "stopped", "preempted", "preempted in epoch 3"),
        ("NODE_FAIL|0:0|n1|T", "stopped", "node-failure", "its node failed (n1)"),
        ("CANCELLED by 1000|0:0|n1|T", "stopped", "cancelled", "cancelled"),
        ("FAILED|75:0|n1|T", "stopped", "interrupted", "interrupted in epoch 3"),
        ("FAILED|15:0|n1|T", "stopped", "interrupted", "interrupted in epoch 3"),
        ("FAILED|0:9|n1|T", "stopped", "killed", "killed"),
        ("FAILED|127:0|n1|T", "failed", "crashed", "exit code 127"),
        ("COMPLETED|0:0|n1|T", "stopped", "interrupted", "without a result"),
        ("RUNNING|0:0|n1|Unknown", "unknown", "", "RUNNING in sacct, no longer in squeue"),
    ],
)
def test_each_end_of_a_job_has_its_reason(
    study: Study, runs: Path, scheduler: Scheduler, line: str, kind: str, cause: str, reason: str
) -> None:
    stopped(study.tasks[0], runs, 2)
    scheduler.sacct = [f"0|{line}"]
    state = Plan(study, runs).items[0].state
    assert (state.kind, state.cause) == (kind, cause)
    assert reason in state.reason


def test_a_failure_without_an_exit_code_is_unknown_at_first(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    """Seen when slurmdbd has just come back."""
    stopped(study.tasks[0], runs, 2)
    scheduler.sacct = [f"0|FAILED|0:0|n1|{time.strftime('%FT%T')}"]
    assert told(study, runs)[0] == ("unknown", "its job has failed just now")
    scheduler.sacct = ["0|FAILED|0:0|n1|2020-01-01T10:00:00"]
    assert Plan(study, runs).items[0].state.cause == "crashed"


def test_what_a_run_says_of_itself_counts_more_than_its_jobs_exit_code(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    scheduler.sacct = ["[0-3]|FAILED|1:0|n1|T"]
    finished(study.tasks[0], runs)
    failed(study.tasks[1], runs, "the loss was nan in epoch 3")
    with Claim(stopped(study.tasks[2], runs, 1).claim_file):
        assert told(study, runs)[:3] == [
            ("done", ""),
            ("failed", "the loss was nan in epoch 3"),
            ("running", "epoch 1"),
        ]


def test_a_failure_of_an_earlier_try_is_not_taken_for_one_of_this_try(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    ago(failed(study.tasks[0], runs, "long ago"), 3600)
    scheduler.sacct = ["0|NODE_FAIL|0:0|n1|T"]
    assert Plan(study, runs).items[0].state.cause == "node-failure"


def test_nothing_is_lost_while_squeue_does_not_answer(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    scheduler.squeue_trouble = "squeue did not answer within 60 s"
    plan = Plan(study, runs)
    assert {item.kind for item in plan.items} == {"unknown"}
    assert plan.items[0].state.reason == "job 12_0; squeue did not answer within 60 s"
    assert plan.trouble and not choose(plan.items, Profile(time="1")).to_submit


def test_lost_is_what_the_scheduler_does_not_have_and_nobody_works_on(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    run = stopped(study.tasks[0], runs, 3)
    (kind, reason), (other_kind, never), *_ = told(study, runs)
    assert kind == other_kind == "lost"
    assert reason.startswith("gone from squeue and sacct, no result, last seen at ")
    assert never == "gone from squeue and sacct, it never began (cancelled while it was pending?)"
    scheduler.sacct_trouble = "sacct: accounting is disabled"
    ago(run, 7 * 86400)
    assert "gone from squeue (sacct: accounting is disabled), no result" in told(study, runs)[0][1]


def test_an_end_that_the_accounts_have_missed_does_not_block_for_ever(
    study: Study, runs: Path, scheduler: Scheduler
) -> None:
    scheduler.sacct = ["0|RUNNING|0:0|n1|Unknown"]
    ago(stopped(study.tasks[0], runs, 3), 3600)
    kind, reason = told(study, runs)[0]
    assert kind == "lost" and "still RUNNING in sacct" in reason


def test_an_abandoned_array_is_no_attempt(study: Study, runs: Path, scheduler: Scheduler) -> None:
    submission = Plan(study, runs).items[0].attempts[0].submission
    submission.note(0, None)
    assert {item.kind for item in Plan(study, runs).items} == {"waiting"}


def test_a_view_says_why_things_wait(study: Study, runs: Path, scheduler: Scheduler) -> None:
    scheduler.squeue = ["0-2|PENDING|N/A||Priority", "3|PENDING|N/A||ReqNodeNotAvail"]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(progress(Plan(study, runs)))
    assert "3 pending: priority" in capture.get() and "0 of 4 done, 4 pending" in capture.get()
    assert told(study, runs)[3] == ("pending", "its nodes are not available")


def test_jobs_are_named_by_array_and_task_id() -> None:
    ((task, job), *_) = squeue_line("petl-x-0|12|3,5-6%2|PENDING|N/A||Priority")
    assert (task.array, task.task_id, job) == (
        "petl-x-0",
        3,
        Job("12_3", "PENDING", "Priority", "N/A"),
    )
    assert [task.task_id for task, _ in sacct_line("petl-x-0|12_[0-6:3]|PENDING|0:0||")] == [
        0,
        3,
        6,
    ]
    assert ranges([7, 1, 0, 2, 9, 8]) == "0-2,7-9"

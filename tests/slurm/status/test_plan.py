"""A plan says what run directories say, and how long the rest takes only where it is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import failed, finished, stopped
from rich.console import Console

from petl.config.study import Study, load_study
from petl.runs.claim import Claim
from slurm.format import duration
from slurm.status.plan import Group, Plan
from slurm.status.view import overview, progress, shares, summary, troubles

STUDY = """\
description: a study
profile: as-run
report: test_best
matrix:
  {dataset: [esc50, urbansound8k], backbone: ast, method: [linear, lora], fold: [0, 1, 2], seed: 1}
"""


def shown(what: object, width: int = 80) -> str:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def test_every_state_is_told_apart(study: Study, runs: Path) -> None:
    tasks = study.tasks
    finished(tasks[0], runs)
    failed(tasks[1], runs, "CUDA out of memory")
    stopped(tasks[2], runs, 4)
    running = stopped(tasks[3], runs, 7)
    with Claim(running.claim_file):
        plan = Plan(study, runs)
    assert plan.counts() == {"done": 1, "failed": 1, "stopped": 1, "running": 1, "waiting": 8}
    assert [item.task for item in plan.to_run()] == [*tasks[1:3], *tasks[4:]]
    assert summary(plan) == "1 of 12 done, 1 running, 1 failed, 1 stopped, 8 waiting"


def test_half_a_result_is_no_result(study: Study, runs: Path) -> None:
    run = finished(study.tasks[0], runs)
    run.result_file.write_bytes(run.result_file.read_bytes()[:-20])
    assert Plan(study, runs).counts()["done"] == 0


def test_tasks_with_the_same_settings_are_one_run(study: Study, runs: Path) -> None:
    path = study.path
    path.write_text(STUDY + "methods: {linear: {like: lora}}\n")
    plan = Plan(load_study(path), runs)
    assert (len(plan.items), plan.shared) == (6, 6)
    assert {group.method for group in plan.groups()} == {"linear"}
    assert "6 more tasks with the same settings as one of these" in shown(overview(plan))


def test_time_is_unknown_until_a_run_is_done(study: Study, runs: Path) -> None:
    plan = Plan(study, runs)
    assert plan.left() == ([], 12)
    assert plan.left().wall(2) is None
    assert "time left: known after the first run" in shown(overview(plan))


def test_time_is_measured_on_the_same_group_else_the_same_dataset(study: Study, runs: Path) -> None:
    linear, lora = study.tasks[0:3], study.tasks[3:6]
    finished(linear[0], runs, seconds=100)
    finished(linear[1], runs, seconds=300)
    finished(lora[0], runs, seconds=800)
    plan = Plan(study, runs)
    assert plan.left() == ([200, 800, 800], 6)
    items = plan.groups()
    assert [item.score for item in items[Group("esc50", "ast", "lora")]] == [0.6, None, None]
    told = shown(overview(plan))
    assert "about 30 min, one run after the other; 6 more runs of unknown length" in told


def test_another_dataset_tells_by_its_own_runs(study: Study, runs: Path) -> None:
    finished(study.tasks[0], runs, seconds=100)
    finished(study.tasks[6], runs, seconds=900)
    assert sum(Plan(study, runs).left().seconds) == 5 * 100 + 5 * 900


def test_of_a_running_run_only_the_rest_counts(study: Study, runs: Path) -> None:
    finished(study.tasks[0], runs, seconds=100)
    running = stopped(study.tasks[1], runs, study.tasks[1].train.epochs // 2)
    with Claim(running.claim_file):
        plan = Plan(study, runs)
    assert plan.left().seconds[0] == pytest.approx(50)


def test_many_hands_are_no_faster_than_the_longest_run(study: Study, runs: Path) -> None:
    for task in study.tasks[:2] + study.tasks[3:]:
        finished(task, runs, seconds=100)
    left = Plan(study, runs).left()
    assert (left.wall(1), left.wall(8)) == (100, 100)


def test_a_bar_shows_whatever_there_is(study: Study, runs: Path) -> None:
    assert shares({"done": 3, "waiting": 2}, 20) == {"done": 3, "waiting": 2}
    assert shares({"done": 990, "failed": 1, "waiting": 9}, 20) == {
        "done": 18,
        "failed": 1,
        "waiting": 1,
    }
    for counts in ({"done": 7, "running": 7, "waiting": 7}, {"waiting": 1000, "done": 1}):
        assert sum(shares(counts, 20).values()) == 20


@pytest.mark.parametrize("width", [80, 60, 40, 20])
def test_the_view_fits_the_terminal(study: Study, runs: Path, width: int) -> None:
    failed(study.tasks[1], runs, "no luck")
    for view in (progress(Plan(study, runs)), overview(Plan(study, runs))):
        assert max(map(len, shown(view, width).splitlines())) <= width


def test_with_little_room_the_groups_at_work_are_shown(study: Study, runs: Path) -> None:
    running = stopped(study.tasks[9], runs, 7)
    with Claim(running.claim_file):
        told = shown(progress(Plan(study, runs), room=2))
    assert "lora" in told and "epoch 7 of 30" in told
    assert "linear" not in told
    assert "3 more rows: 9 waiting" in told


def test_states_can_be_told_without_colour_and_without_unicode(study: Study, runs: Path) -> None:
    finished(study.tasks[0], runs)
    failed(study.tasks[1], runs, "no luck")
    assert "●✗·" in shown(progress(Plan(study, runs)))
    with Path("/dev/null").open("w", encoding="ascii") as ascii_only:
        console = Console(file=ascii_only, width=80)
        with console.capture() as capture:
            console.print(progress(Plan(study, runs)))
    assert "#x." in capture.get()


def test_a_failure_comes_with_its_reason_and_its_log(study: Study, runs: Path) -> None:
    for task in study.tasks:
        failed(task, runs, f"no luck with fold {task.fold}")
    lines = list(troubles(Plan(study, runs).items, most=2))
    assert lines[0] == "\nfailed   esc50 · linear · fold 0 · seed 1"
    assert lines[1].strip() == "no luck with fold 0"
    assert Path(lines[2].strip()) == runs / "study" / study.tasks[0].run_id / "log.txt"
    assert lines[-1].strip() == "and 10 more"


def test_durations_read_well() -> None:
    told = [duration(seconds) for seconds in (0.4, 59, 130, 5000, 9000, 360_000)]
    assert told == ["0 s", "59 s", "2 min", "83 min", "2.5 h", "100.0 h"]

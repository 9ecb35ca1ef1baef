"""Looking on: a table that is redrawn on a terminal, plain lines in a log file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from made_runs import failed, finished
from rich.console import Console

from petl.config.study import Study
from slurm.status import watch as watching
from slurm.status.plan import Plan
from slurm.status.state import RunState
from slurm.status.watch import watch

STUDY = """\
description: a study
profile: as-run
report: test_last
matrix: {dataset: esc50, backbone: ast, method: [linear, lora], fold: all, seed: 1}
"""


def looked_on(study: Study, runs: Path, terminal: bool) -> str:
    """One run ends well and one does not while we look on."""
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=terminal, highlight=False)
    plan = Plan(study, runs)
    with watch(plan, 2, console) as show:
        show("")
        finished(study.tasks[0], runs, accuracy=0.875, seconds=30)
        failed(study.tasks[7], runs, "no luck")
        for item in plan.items:
            item.look()
        for _ in range(10):
            show("")
    return file.getvalue()


def test_a_log_file_gets_plain_lines(study: Study, tmp_path: Path) -> None:
    told = looked_on(study, tmp_path, terminal=False)
    assert "\x1b" not in told
    lines = [line.split(maxsplit=1)[1] for line in told.splitlines()]
    assert lines == [
        "study: 0 of 10 done, 10 waiting; 0 s so far; "
        "the first run of each dataset will tell the time left",
        "done     esc50 · linear · fold 0 · seed 1: 87.5 % in 30 s",
        "failed   esc50 · lora · fold 2 · seed 1: no luck",
        "study: 1 of 10 done, 1 failed, 8 waiting; 0 s so far, about 2 min left",
    ]


def test_a_terminal_gets_a_table_that_ends_up_to_date(study: Study, tmp_path: Path) -> None:
    told = looked_on(study, tmp_path, terminal=True)
    assert "0 of 10 done" in told
    last = told[told.rindex("esc50") :]
    assert "1/5" in last and "87.5 %" in last and "1 failed" in last


def test_a_terminal_is_not_redrawn_at_every_call(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(watching, "progress", lambda plan, room: drawn.append(room) or "")
    looked_on(study, tmp_path, terminal=True)
    assert len(drawn) == 2  # at the first call and at the end


def test_a_dumb_terminal_gets_lines(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in looked_on(study, tmp_path, terminal=True)


def test_a_log_file_says_which_epoch_and_never_0_s(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(watching, "PRINT_S", -1.0)
    plan = Plan(study, tmp_path)
    for item in plan.items[:-1]:
        item.state = RunState("done")
        item.seconds = 30.0
    last = plan.items[-1].task.train.epochs
    with watch(plan, 2, Console(file=file, width=200)) as show:
        for epoch in (0, 2, last):
            plan.items[-1].state = RunState("running", epoch=epoch)
            show("")
        plan.items[-1].state = RunState("done")
    lines = file.getvalue().splitlines()
    assert f"1 running; in epoch 1 of {last}; 0 s so far, about 30 s left" in lines[0]
    assert f"in epoch 3 of {last}; 0 s so far, about" in lines[1]
    assert f"in epoch {last} of {last}; 0 s so far, nearly done" in lines[2]
    assert not any("about 0 s" in line for line in lines)

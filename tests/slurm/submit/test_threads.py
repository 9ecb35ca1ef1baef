"""Threads of local runs: what the user has set, else by the model's size and what is free."""

from __future__ import annotations

import os

import pytest
from tiny import SHORT, Make

from petl.config.study import EXPERIMENTS, load_study
from petl.places import Places
from petl.runs.directory import RunDir
from slurm.status.plan import Plan
from slurm.submit import local, threads

LARGE = load_study(EXPERIMENTS / "table1.yaml").tasks[0]
SMALL = load_study(EXPERIMENTS / "quickstart.yaml").tasks[0]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 CPUs of which I may use 8; 4 processes compute."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(threads, "busy", lambda: 4.0)


def test_a_large_model_gets_its_share_of_the_free_cpus_and_a_small_one_a_thread(machine) -> None:
    assert threads.free() == 6
    for workers, each in ((1, "6"), (2, "3"), (9, "1")):
        given = threads.variables(LARGE, workers, {})
        assert given["OMP_NUM_THREADS"] == given["MKL_NUM_THREADS"] == each
        assert (given["OMP_WAIT_POLICY"], given["KMP_BLOCKTIME"]) == ("PASSIVE", "0")
    assert threads.variables(SMALL, 1, {})["OMP_NUM_THREADS"] == "1"


def test_what_the_user_has_set_stays(machine) -> None:
    mine = {"OMP_NUM_THREADS": "5", "OMP_WAIT_POLICY": "ACTIVE", "HOME": "/home/me"}
    given = threads.variables(SMALL, 4, mine)
    assert given == mine | {"MKL_NUM_THREADS": "5", "KMP_BLOCKTIME": "0"}
    assert threads.variables(LARGE, 4, {"MKL_NUM_THREADS": "2"})["MKL_NUM_THREADS"] == "2"


def test_a_machine_that_was_busy_a_moment_ago_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1e6, 0, 0))
    assert threads.busy() < 1e6


@pytest.mark.slow
def test_a_local_run_trains_with_my_number_of_threads(
    make: Make, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    loaded = make("[linear]", "[0]", SHORT)
    local.run_local(Plan(loaded, places.runs), places, 1, lambda remark: None)
    result = RunDir.of(loaded.tasks[0], places.runs).result()
    assert result is not None
    assert result["environment"]["threads"] == 2

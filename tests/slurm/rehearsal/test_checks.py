"""The checks of the rehearsal see every difference; `make rehearse` runs the rehearsal itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tiny import SHORT, Make, write_study

from petl.config.options import Options
from petl.config.study import Study
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.run import run_task
from rehearsal.checks import run_problems
from rehearsal.perform import draw_troubles
from rehearsal.troubles import TROUBLES
from slurm.status.plan import Plan


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Places]:
    folder = tmp_path_factory.mktemp("trained")
    loaded = write_study(folder / "tiny.yaml", "linear", "0", SHORT, "keep_weights: true\n")
    places = Places(folder / "runs", prepared / "data", prepared / "cache")
    run_task(loaded.tasks[0], places, Options(threads=1))
    return loaded, places


@pytest.fixture
def pair(trained: tuple[Study, Places], tmp_path: Path) -> tuple[Plan, RunDir]:
    """A run, and the undisturbed run: a copy of the same."""
    loaded, places = trained
    shutil.copytree(places.runs, tmp_path / "runs")
    return Plan(loaded, tmp_path / "runs"), RunDir.of(loaded.tasks[0], places.runs)


def problems(pair: tuple[Plan, RunDir]) -> list[str]:
    plan, undisturbed = pair
    plan.items[0].look()
    return list(run_problems(plan.items[0], undisturbed))


def other_seconds(run: RunDir) -> None:
    result: Any = run.result()
    result["timing"]["tries"] = 3
    run.result_file.write_text(json.dumps(result))
    rows = [row | {"seconds": 99.0} for row in run.metrics()]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_only_times_may_differ(pair: tuple[Plan, RunDir]) -> None:
    other_seconds(pair[0].items[0].run)
    assert problems(pair) == []


def other_result(run: RunDir) -> None:
    result: Any = run.result()
    result["metrics"]["test_last"]["loss"] += 1e-9
    run.result_file.write_text(json.dumps(result))


def an_epoch_twice(run: RunDir) -> None:
    last = run.metrics_file.read_text().splitlines()[-1]
    with run.metrics_file.open("a") as file:
        file.write(last + "\n")


def other_weights(run: RunDir) -> None:
    content = bytearray(run.weights_file.read_bytes())
    content[-1] ^= 1
    run.weights_file.write_bytes(content)


def done_twice(run: RunDir) -> None:
    run.log_file.write_text(run.log_file.read_text() * 2)


def a_checkpoint_left(run: RunDir) -> None:
    run.resume_file.touch()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (other_result, "the result differs from the undisturbed run"),
        (an_epoch_twice, "the metrics differ from the undisturbed run"),
        (other_weights, "the weights differ from the undisturbed run"),
        (done_twice, "done 2 times"),
        (a_checkpoint_left, "files left over or missing: resume.safetensors"),
    ],
)
def test_each_difference_from_the_undisturbed_run_is_named(
    pair: tuple[Plan, RunDir], damage: Callable[[RunDir], None], problem: str
) -> None:
    damage(pair[0].items[0].run)
    assert problems(pair) == [problem]


def test_a_run_that_is_not_done_is_named(make: Make, places: Places) -> None:
    plan = Plan(make("linear", "0", SHORT), places.runs)
    (problem,) = run_problems(plan.items[0], RunDir(places.runs))
    assert problem.startswith("waiting")


def test_a_seed_draws_an_order_with_every_trouble() -> None:
    drawn = [draw_troubles(Random(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(set(order[: len(TROUBLES)]) == set(TROUBLES) for order in drawn)

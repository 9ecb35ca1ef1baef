"""The judge of a rehearsal sees what has gone wrong; the rehearsal itself is `make rehearse`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tiny import SHORT, Make, write_study

from petl.config.options import Options
from petl.config.study import Study
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.run import run_task
from slurm.rehearsal.judge import run_complaints
from slurm.rehearsal.play import troubles
from slurm.rehearsal.troubles import TROUBLES
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
    """A run, and what it is to be equal to: so far, itself."""
    loaded, places = trained
    shutil.copytree(places.runs, tmp_path / "runs")
    return Plan(loaded, tmp_path / "runs"), RunDir.of(loaded.tasks[0], places.runs)


def complaints(pair: tuple[Plan, RunDir]) -> list[str]:
    plan, undisturbed = pair
    plan.items[0].look()
    return list(run_complaints(plan.items[0], undisturbed))


def other_seconds(run: RunDir) -> None:
    result = run.result() or {}
    result["timing"]["tries"] = 3
    run.result_file.write_text(json.dumps(result))
    rows = [row | {"seconds": 99.0} for row in run.metrics()]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_only_times_may_differ(pair: tuple[Plan, RunDir]) -> None:
    other_seconds(pair[0].items[0].run)
    assert complaints(pair) == []


def other_result(run: RunDir) -> None:
    result = run.result() or {}
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
    ("damage", "complaint"),
    [
        (other_result, "another result than undisturbed"),
        (an_epoch_twice, "other metrics than undisturbed"),
        (other_weights, "other weights than undisturbed"),
        (done_twice, "done 2 times"),
        (a_checkpoint_left, "left over or missing: resume.safetensors"),
    ],
)
def test_whatever_is_not_as_undisturbed_is_named(
    pair: tuple[Plan, RunDir], damage: Callable[[RunDir], None], complaint: str
) -> None:
    damage(pair[0].items[0].run)
    assert complaints(pair) == [complaint]


def test_a_run_that_is_not_done_is_named(study: Make, places: Places) -> None:
    plan = Plan(study("linear", "0", SHORT), places.runs)
    (complaint,) = run_complaints(plan.items[0], RunDir(places.runs))
    assert complaint.startswith("waiting")


def test_a_seed_draws_an_order_in_which_everything_comes() -> None:
    drawn = [troubles(Random(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(set(order[: len(TROUBLES)]) == set(TROUBLES) for order in drawn)

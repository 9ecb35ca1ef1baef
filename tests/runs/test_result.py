"""result.json: one definition for its writers and readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import finished

from petl.config.study import EXPERIMENTS, load_study
from petl.runs.damage import damage_of
from petl.runs.directory import RunDir, Runs
from petl.runs.result import BULKY


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return finished(load_study(EXPERIMENTS / "quickstart.yaml").tasks[0], tmp_path)


def rewrite(run: RunDir, changes: dict[str, Any]) -> None:
    run.result_file.write_text(json.dumps(json.loads(run.result_file.read_text()) | changes))


def both(run: RunDir) -> list[Any]:
    """Read alone, and as one of very many."""
    return [run.result(), Runs(run.path.parent).result(run.path.name)]


def test_what_is_long_is_left_out_of_a_summary() -> None:
    assert {"task", "classes", "confusion", "per_class", "backbone", "generator"} == BULKY


def test_keys_of_a_newer_version_are_kept_at_every_level(run: RunDir) -> None:
    timing = {"seconds": 1.0, "tries": 1, "idle_seconds": 0.5}
    rewrite(run, {"energy_kwh": 0.25, "timing": timing, "environment": {"weather": "rain"}})
    for result in both(run):
        assert result["energy_kwh"] == 0.25
        assert result["timing"] == timing
        assert result["environment"] == {"weather": "rain"}


@pytest.mark.parametrize(
    ("key", "wrong", "told"),
    [
        ("metrics", {}, "'metrics.test_last' is missing"),
        ("timing", {}, "'timing.seconds' is missing"),
        ("epochs", "many", "epochs should be an integer, not 'many'"),
        ("schema", 2, "schema 2; this version reads 1"),
        ("schema", None, "schema None; this version reads 1"),
    ],
)
def test_a_missing_or_wrong_key_is_no_success_and_is_named(
    run: RunDir, key: str, wrong: Any, told: str
) -> None:
    rewrite(run, {key: wrong})
    assert both(run) == [None, None]
    state = run.state()
    assert (state.kind, state.reason, state.damaged) == ("stopped", f"result.json: {told}", True)
    (damage,) = damage_of(run)
    assert str(damage).startswith(f"{run.result_file}: {told}; submit the study again")


def test_a_damaged_file_is_no_success(run: RunDir) -> None:
    run.result_file.write_bytes(run.result_file.read_bytes()[:-5])
    assert both(run) == [None, None]
    run.result_file.write_text("[]")
    assert both(run) == [None, None]

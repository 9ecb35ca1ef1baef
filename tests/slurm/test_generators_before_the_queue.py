"""A study that trains on a generator's clips: told before any job waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import finished, stopped
from typer.testing import CliRunner

from petl.cli import app
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.places import Places
from petl.reproduce.bundle import collect
from slurm.reproduce.again import Trust, original, take_generators
from slurm.submit.corpora import refuse_without_generators

MATRIX = "matrix: {dataset: esc50, backbone: ast-small, method: METHOD, fold: 0, seed: 0}\n"
AUGMENTED = "augment: {generator: made/gan, share: 0.3}\n"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")


@pytest.fixture
def studies(places: Places) -> tuple[Study, Study]:
    root = places.runs.parent
    (root / "made.yaml").write_text(MATRIX.replace("METHOD", "gan"))
    (root / "ours.yaml").write_text(MATRIX.replace("METHOD", "linear") + AUGMENTED)
    return load_study(root / "made.yaml"), load_study(root / "ours.yaml")


def petl(places: Places, *words: str) -> tuple[int, str]:
    folders = [f"--runs={places.runs}", f"--data={places.data}"]
    told = CliRunner().invoke(app, [*words, *folders])
    return told.exit_code, " ".join(told.stderr.split())


def test_no_run_is_submitted_before_its_generator_is_fitted(
    studies: tuple[Study, Study], places: Places
) -> None:
    made, ours = studies
    expected = (
        f"augment.generator: not fitted to the end in {places.runs}: {made.tasks[0].run_id}; "
        f"first `petl submit {made.path}`"
    )
    for begin in (lambda: None, lambda: stopped(made.tasks[0], places.runs, 1)):
        begin()
        code, told = petl(places, "submit", str(ours.path), "--local=1")
        assert (code, told) == (2, f"petl: {expected}")
        code, told = petl(places, "plan", str(ours.path))
        assert code == 0 and f"warning: {expected}" in told
    without = [ours.tasks[0].model_copy(update={"augment": None})]
    refuse_without_generators(ours, without, places)


def test_a_fitted_generator_is_found_in_any_study(
    studies: tuple[Study, Study], places: Places
) -> None:
    made, ours = studies
    names = made.tasks[0].names.model_copy(update={"study": "another one"})
    finished(made.tasks[0].model_copy(update={"names": names}), places.runs)
    refuse_without_generators(ours, ours.tasks, places)


def test_a_bundle_names_the_generators(studies: tuple[Study, Study], places: Places) -> None:
    made, ours = studies
    finished(ours.tasks[0], places.runs)
    lacks = collect(ours, places.runs, with_hosts=False).lacks
    name = made.tasks[0].run_id
    assert f"the generators whose clips its runs train on: {name} (bundle made too)" in lacks


def test_a_run_is_trained_again_with_its_own_generator(
    studies: tuple[Study, Study], places: Places, tmp_path: Path
) -> None:
    made, ours = studies
    found = [original(finished(ours.tasks[0], places.runs), Trust(current=True, anybody=False))]
    with pytest.raises(UserError, match=f"has no finished run {made.tasks[0].run_id}, whose clips"):
        take_generators(found, places.runs, tmp_path / "again")
    run = finished(made.tasks[0], places.runs)
    run.weights_file.write_bytes(b"weights")
    for _ in range(2):
        take_generators(found, places.runs, tmp_path / "again")
    copy = tmp_path / "again" / "made" / made.tasks[0].run_id
    for name in ("task.json", "result.json", "weights.safetensors"):
        assert (copy / name).read_bytes() == (run.path / name).read_bytes()

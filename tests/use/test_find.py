"""RUN on a command line: a folder, an id, a beginning; and one line when it is none of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import finished, stopped
from safetensors.torch import load_file, save_file

from petl.config import Task
from petl.config.study import EXPERIMENTS, load_study
from petl.errors import UserError
from petl.model.build import trained_state
from petl.places import Places
from petl.runs.archive.packing import pack
from petl.runs.directory import RunDir
from petl.runs.find import find_run
from petl.use.load import load_run


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return load_study(EXPERIMENTS / "quickstart.yaml").tasks


def places_of(runs: Path) -> Places:
    return Places(runs, runs, runs)


def test_a_folder_an_id_and_its_beginning_are_the_same_run(tasks, tmp_path: Path) -> None:
    one, other = (finished(task, tmp_path) for task in tasks[:2])
    start = next(n for n in range(1, 17) if not other.path.name.startswith(one.path.name[:n]))
    ways = [str(one.path), one.path.name, one.path.name[:start]]
    ways += [f"quickstart/{one.path.name}", f"quickstart/{one.path.name[:start]}"]
    for said in ways:
        assert find_run(said, tmp_path).path == one.path, said


def refusal(said: str, runs: Path) -> str:
    with pytest.raises(UserError) as caught:
        find_run(said, runs)
    return str(caught.value)


def test_an_ambiguous_beginning_is_refused(tasks, tmp_path: Path) -> None:
    for task in tasks:
        finished(task, tmp_path)
    told = refusal("quickstart/", tmp_path)
    assert "30 runs in" in told
    assert "and 26 more" in told


def test_the_nearest_id_is_offered(tasks, tmp_path: Path) -> None:
    run = finished(tasks[0], tmp_path)
    wrong = "0" + run.path.name[1:] if run.path.name[0] != "0" else "1" + run.path.name[1:]
    assert f"did you mean '{run.path.name}'?" in refusal(wrong, tmp_path)
    assert "petl plan STUDY --list" in refusal("zzzz", tmp_path)
    assert "--runs or PETL_RUNS" in refusal("zzzz", tmp_path / "nowhere")


def test_a_folder_that_is_not_a_run_lists_the_runs_in_it(tasks, tmp_path: Path) -> None:
    run = finished(tasks[0], tmp_path)
    told = refusal(str(run.path.parent), tmp_path)
    assert "has no task.json" in told
    assert f"it contains 1 run, such as {run.path.name}" in told


def test_an_unfinished_run_says_how_far_it_is(tasks, tmp_path: Path) -> None:
    run = stopped(tasks[0], tmp_path, 4)
    with pytest.raises(UserError, match=r"not finished: stopped \(interrupted in epoch 5\)"):
        load_run(run.path, places_of(tmp_path))


def test_missing_weights_name_the_command_that_makes_them(tasks, tmp_path: Path) -> None:
    run = finished(tasks[0], tmp_path)
    with pytest.raises(
        UserError, match=rf"`petl submit quickstart.yaml --retrain {run.path.name}`"
    ):
        load_run(run.path, places_of(tmp_path))


def test_weights_of_another_model_are_refused(trained, places, tmp_path: Path) -> None:
    """A model that is half restored would guess, and nobody would see it."""
    run = RunDir(tmp_path / "a run")
    run.path.mkdir()
    real = trained("lora")
    for file in (real.task_file, real.result_file):
        (run.path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(real.weights_file)
    name = "head.weight"
    save_file({k: t for k, t in tensors.items() if k != name}, run.weights_file)
    with pytest.raises(UserError, match=r"head.weight is missing"):
        load_run(run.path, places)
    save_file(tensors | {name: tensors[name][:3].clone()}, run.weights_file)
    with pytest.raises(UserError, match=r"head.weight is \(3, 32\), not \(10, 32\)"):
        load_run(run.path, places)
    run.weights_file.write_bytes(real.weights_file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"weights.safetensors: cannot be read as weights"):
        load_run(run.path, places)
    run.task_file.write_text("{")
    with pytest.raises(UserError, match=r"task.json: damaged"):
        load_run(run.path, places)


def test_a_packed_run_is_found_by_all_its_names_and_loaded_with_its_weights(written) -> None:
    run = written()
    runs, name = run.path.parent.parent, run.path.name
    before = trained_state(load_run(run.path, places_of(runs)).model)
    assert pack(run.path.parent, [name]) == {"packed": 1}
    assert not run.path.exists()
    for said in (str(run.path), name, name[:5], f"{run.path.parent.name}/{name}"):
        assert find_run(said, runs).path == run.path, said
    after = trained_state(load_run(name[:5], places_of(runs)).model)
    assert after.keys() == before.keys()
    assert all(after[key].equal(before[key]) for key in before)

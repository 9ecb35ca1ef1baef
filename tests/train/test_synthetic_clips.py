"""A generator's clips in training: how many, which, and never in validation or test."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from fitted_runs import fitted, write_weights

from petl.config import Augment, Task
from petl.config.study import study_of
from petl.data import load as load_module
from petl.data.load import Synthetic, TaskData, load
from petl.data.splits import Split
from petl.errors import UserError
from petl.generate.pool import synthetic_clips
from petl.places import Places
from petl.train.batches import Batches
from petl.train.run import run_task
from petl.train.seeding import derive

CPU = torch.device("cpu")
REAL, MADE = 13, 13
SHARES = [0.0, 0.1, 0.3, 0.5, 0.99, None]


@pytest.fixture(scope="module")
def generators(tasks, places) -> list[Task]:
    """Of fold 0 and fold 1, fitted by nobody: their weights are new."""
    tiny = tasks[0].dataset.model_dump(mode="json", exclude_defaults=True)
    made = study_of(
        {
            "matrix": {
                "dataset": "tiny",
                "backbone": "ast-small",
                "method": "gan",
                "fold": [0, 1],
                "seed": 10,
            },
            "datasets": {"tiny": {"dataset": tiny}},
            "set": {"generator": {"width": 4, "latent": 2}},
        },
        "made",
    ).tasks
    for task in made:
        fitted(task, places)
    return made


def augmented(task: Task, generator: Task, **settings) -> Task:
    """With a share of 0.3 unless the settings say otherwise."""
    settings = settings or {"share": 0.3}
    return task.model_copy(update={"augment": Augment(generator=generator.run_id, **settings)})


def pool(task: Task, places: Places) -> Synthetic | None:
    seed = derive(task.seed, task.fold, "synthetic clips")
    return synthetic_clips(task, load(task, places), places, seed)


@pytest.fixture
def here(places, tmp_path) -> Places:
    """Data and runs shared, a cache of this test's own."""
    return Places(places.runs, places.data, tmp_path / "cache")


# --- which clips train ----------------------------------------------------------------------------


def batches(tasks, share: float | None) -> Batches:
    """Real clips 0, 1, ... of which two validate and test, and synthetic ones 1000, 1001, ..."""
    real = np.arange(REAL + 2, dtype=np.float32)
    made = 1000 + np.arange(MADE, dtype=np.float32)
    split = Split(np.arange(REAL), np.array([REAL]), np.array([REAL + 1]))
    inputs = [np.broadcast_to(x[:, None, None], (len(x), 20, 128)).copy() for x in (real, made)]
    data = TaskData(inputs[0], real.astype(np.int64), split, (), None)
    data = replace(data, synthetic=Synthetic(inputs[1], made.astype(np.int64), "key"))
    augment = Augment(generator="0" * 16, share=share, real=share is not None)
    dataset = tasks[0].dataset.model_copy(update={"spec_augment": None})
    task = tasks[0].model_copy(update={"augment": augment, "dataset": dataset})
    return Batches(data, task, CPU)


def clips_of(made: Batches, epoch: int) -> list[list[int]]:
    """By step; each clip's input and target are its number."""
    steps = []
    for x, y in made.training(epoch):
        assert torch.equal(x[:, 0, 0].long(), y)
        steps.append(y.tolist())
    return steps


@pytest.mark.parametrize("share", SHARES)
def test_an_epoch_has_as_many_clips_and_steps_for_every_share(tasks, share) -> None:
    made = batches(tasks, share)
    for epoch in (1, 2):
        steps = clips_of(made, epoch)
        assert [len(step) for step in steps] == [8, 5]
        clips = list(chain(*steps))
        synthetic = [clip for clip in clips if clip >= 1000]
        assert len(set(clips)) == REAL  # none twice
        assert len(synthetic) == (REAL if share is None else round(share * REAL))
        assert set(clips) - set(synthetic) <= set(range(REAL))
    assert clips_of(made, 1) != clips_of(made, 2)


def test_a_larger_share_replaces_what_a_smaller_one_does(tasks) -> None:
    by_share = [list(chain(*clips_of(batches(tasks, share), 1))) for share in SHARES]
    for fewer, more in pairwise(by_share):
        assert all(b == a or (a < 1000 <= b) for a, b in zip(fewer, more, strict=True))


def test_an_epoch_entered_in_the_middle_has_the_same_clips(tasks) -> None:
    made = batches(tasks, 0.5)
    (_, whole), (_, entered) = list(made.training(3))[1], next(made.training(3, first_step=1))
    assert torch.equal(whole, entered)


def test_a_share_of_zero_trains_to_the_same_bits(tasks, generators, own_runs) -> None:
    plain = next(task for task in tasks if task.names.method == "linear")
    results = [
        run_task(task, own_runs) for task in (plain, augmented(plain, generators[0], share=0.0))
    ]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[1]["synthetic_clips"] == {
        "generator": generators[0].run_id,
        "share": 0.0,
        "clips": 0,
    }
    assert plain.run_id != results[1]["run_id"]


# --- validation and test --------------------------------------------------------------------------


def test_clips_that_validate_and_test_are_files_of_the_corpus(
    tasks, generators, here, monkeypatch
) -> None:
    """It fails if synthetic clips are among those that are split, wherever that is done."""
    task = augmented(tasks[0], generators[0])
    data = replace(load(task, here), synthetic=pool(task, here))
    audio = {file.name for file in (here.data / "tiny" / "audio").iterdir()}
    assert {Path(name).name for name in data.names} == audio
    made = Batches(data, task, CPU)
    for part in (data.split.validation, data.split.test):
        seen = torch.cat([x for x, _ in made.of(part)])
        real = load_module.load(tasks[0], here)
        assert torch.equal(seen, torch.cat([x for x, _ in Batches(real, tasks[0], CPU).of(part)]))
        with pytest.raises(ValueError, match="a synthetic clip may only train"):
            next(made.of(np.append(part, -1)))


def test_clips_without_a_file_cannot_be_split(tasks, generators, here) -> None:
    task = augmented(tasks[0], generators[0])
    data, made = load(task, here), pool(task, here)
    clips = len(data.names)
    inputs = np.concatenate([data.inputs, made.inputs])
    targets = np.concatenate([data.targets, made.targets])
    drawn = np.random.default_rng(0).permutation(len(inputs))
    with pytest.raises(ValueError, match=f"{len(inputs)} inputs .* of {clips} clips"):
        replace(data, inputs=inputs, targets=targets, split=Split(*np.split(drawn, [40, 50])))
    with pytest.raises(ValueError, match="may not be split"):
        replace(data, split=replace(data.split, test=np.array([clips])))


def test_statistics_are_those_of_the_real_clips(tasks, generators, here) -> None:
    dataset = tasks[0].dataset.model_copy(update={"statistics": "training-split"})
    task = augmented(tasks[0].model_copy(update={"dataset": dataset}), generators[0])
    data = replace(load(task, here), synthetic=pool(task, here))
    trains = np.asarray(data.inputs)[data.split.train]
    assert data.statistics.mean == pytest.approx(trains.mean(), abs=1e-4)
    assert abs(data.synthetic.inputs.mean() - trains.mean()) > 1


# --- the clips ------------------------------------------------------------------------------------


def test_the_clips_are_made_once_for_all_shares(tasks, generators, here) -> None:
    first = pool(augmented(tasks[0], generators[0]), here)
    other = pool(augmented(tasks[0], generators[0], real=False), here)
    assert len(first.inputs) == len(load(tasks[0], here).split.train) == len(first.targets)
    assert isinstance(first.inputs, np.memmap)
    assert (first.key, first.targets.tolist()) == (other.key, other.targets.tolist())
    assert len(list((here.cache / "synthetic").iterdir())) == 1
    assert pool(augmented(tasks[0], generators[0], share=0.01), here) is None


def test_shuffled_labels_are_the_same_labels_in_another_order(tasks, generators, here) -> None:
    given, shuffled = (
        pool(augmented(tasks[0], generators[0], share=0.3, conditions=how), here)
        for how in ("given", "shuffled")
    )
    assert given.key == shuffled.key
    assert given.targets.tolist() != shuffled.targets.tolist()
    assert sorted(given.targets) == sorted(shuffled.targets)


@pytest.mark.parametrize("damage", ["damaged", "foreign"])
def test_a_file_of_other_numbers_is_made_again(tasks, generators, here, damage) -> None:
    task = augmented(tasks[0], generators[0])
    before = pool(task, here)
    expected, shape = np.array(before.inputs), before.inputs.shape
    file = here.cache / "synthetic" / f"{before.key}.npy"
    del before
    if damage == "foreign":
        np.save(file, np.ones(shape, np.float32))
    else:
        content = bytearray(file.read_bytes())
        content[5000] ^= 1
        file.write_bytes(content)
    assert np.array_equal(pool(task, here).inputs, expected)


# --- what is refused ------------------------------------------------------------------------------


def test_a_generator_of_another_fold_is_refused(tasks, generators, here) -> None:
    with pytest.raises(UserError, match=r"other clips .* tiny, fold 1, seed 10; .* tiny, fold 0"):
        pool(augmented(tasks[0], generators[1]), here)


def test_a_generator_of_other_clips_is_refused_though_all_settings_agree(
    tasks, generators, here, tmp_path
) -> None:
    """The clips' names count, not what the settings say."""
    data = load(tasks[0], here)
    fewer = replace(data, split=replace(data.split, train=data.split.train[1:]))
    with pytest.raises(UserError, match="is fitted to other clips"):
        synthetic_clips(augmented(tasks[0], generators[0]), fewer, here, 0)


def test_other_frames_are_refused(tasks, generators, here) -> None:
    dataset = tasks[0].dataset.model_copy(update={"frames": 80})
    task = augmented(tasks[0].model_copy(update={"dataset": dataset}), generators[0])
    with pytest.raises(UserError, match=r"makes 100 frames of 128 bins .* reads 80 frames"):
        pool(task, here)


def test_a_run_that_is_no_finished_generator_is_refused(tasks, generators, here, own_runs) -> None:
    task = augmented(tasks[0], generators[0])
    with pytest.raises(UserError, match=f"has no run {generators[0].run_id}; fit the generator"):
        pool(task, own_runs)
    run = fitted(generators[0], own_runs)
    run.result_file.unlink()
    with pytest.raises(UserError, match="not fitted to its end: stopped"):
        pool(task, own_runs)
    with pytest.raises(UserError, match="has no run STUDY/gan"):
        pool(augmented(tasks[0], generators[0]).model_copy(update=unresolved()), own_runs)


def unresolved() -> dict[str, Augment]:
    return {"augment": Augment(generator="STUDY/gan", share=0.5)}


def test_a_folder_with_the_task_of_another_run_is_refused(
    tasks, generators, own_runs, monkeypatch
) -> None:
    monkeypatch.delattr("petl.generate.fitted.build")  # no network is made
    run = fitted(generators[0], own_runs)
    name = "0123456789abcdef"
    run.path.rename(run.path.with_name(name))
    task = tasks[0].model_copy(update={"augment": Augment(generator=name, share=0.5)})
    with pytest.raises(UserError, match=f"its task.json is of run {generators[0].run_id}"):
        pool(task, own_runs)


def test_clips_that_are_not_finite_are_refused(tasks, generators, own_runs, tmp_path) -> None:
    run = fitted(generators[0], own_runs)
    from safetensors.torch import load_file

    write_weights(run, {name: x * 1e30 for name, x in load_file(run.weights_file).items()})
    places = Places(own_runs.runs, own_runs.data, tmp_path / "cache")
    with pytest.raises(UserError, match="makes clips that are not finite"):
        pool(augmented(tasks[0], generators[0]), places)

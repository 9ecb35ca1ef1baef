"""`augment.generator: STUDY/METHOD`: which run it means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from petl.config.study import EXPERIMENTS, Study, load_study
from petl.errors import UserError

MADE = """\
matrix:
  {dataset: [esc10, esc50], backbone: ast-small, method: [gan, linear], fold: [0, 1], seed: SEED}
set: {dataset: {frames: 400}}
"""
OURS = """\
matrix: {dataset: DATASET, backbone: ast-small, method: plain, fold: FOLD, seed: 10}
datasets: {ours: {like: esc10, dataset: {frames: 400}}}
methods: {plain: {like: linear, augment: {generator: GENERATOR, share: 0.3}}}
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return written(tmp_path / "made.yaml", MADE, SEED="[10, 11]")


def written(file: Path, text: str, **words: str) -> Path:
    for word, value in words.items():
        text = text.replace(word, value)
    file.write_text(text)
    return file


def ours(folder: Path, generator: str = "made/gan", dataset: str = "ours", fold: str = "[0, 1]"):
    words = {"GENERATOR": generator, "DATASET": dataset, "FOLD": fold}
    return load_study(written(folder / "ours.yaml", OURS, **words))


def ids(study: Study, method: str, dataset: str) -> list[str]:
    """By fold, for seed 10."""
    named = [t for t in study.tasks if (t.names.method, t.names.dataset) == (method, dataset)]
    return [task.run_id for task in named if task.seed == 10]


@pytest.mark.parametrize("name", ["made/gan", "made.yaml/gan", "{}/made/gan"])
def test_it_is_the_run_with_the_same_clips_fold_and_seed(made: Path, name: str) -> None:
    study = ours(made.parent, name.format(made.parent))
    expected = ids(load_study(made), "gan", "esc10")
    assert [task.augment.generator for task in study.tasks if task.augment] == expected
    assert dict(study.generators) == dict.fromkeys(expected, made)
    assert study.tasks[0].dataset.spec_augment is not None  # which no generator has


def test_the_run_id_follows_every_setting_of_the_generator(made: Path) -> None:
    before = ours(made.parent).tasks[0].run_id
    assert ours(made.parent).tasks[0].run_id == before
    made.write_text(made.read_text() + "when: [{method: gan, set: {generator: {latent: 5}}}]\n")
    assert ours(made.parent).tasks[0].run_id != before


def test_the_only_seed_of_a_generator_is_for_all(made: Path) -> None:
    written(made, MADE, SEED="3")
    expected = [task.run_id for task in load_study(made).tasks if task.names.method == "gan"]
    study = ours(made.parent)
    assert [t.augment.generator for t in study.tasks if t.augment] == expected[:2]


def test_a_value_of_a_grid_is_part_of_the_name(made: Path) -> None:
    made.write_text(made.read_text().replace("[gan, linear]", "gan, generator.width: [4, 8]"))
    expected = ids(load_study(made), "gan-width=8", "esc10")
    assert ours(made.parent, "made/gan-width=8").tasks[0].augment.generator == expected[0]
    refused(made, "has no method 'gan'; it can be gan-width=4, gan-width=8")


@pytest.mark.parametrize(
    "generator, dataset, fold, message",
    [
        ("made/gna", "ours", "0", "has no method 'gna'; did you mean 'gan'?"),
        ("made/linear", "ours", "0", "'linear' of study 'made' is no generator"),
        ("mode/gan", "ours", "0", "no study 'mode' in "),
        ("no/made.yaml/gan", "ours", "0", "no/made.yaml: no such file"),
        ("ours/plain", "ours", "0", "this is the study itself, whose runs start in any order"),
        ("../{}/ours.yaml/plain", "ours", "0", "this is the study itself"),
        ("made/gan", "ours", "2", "it is fitted for folds 0, 1, and not for fold 2"),
        ("made/gan", "esc10", "0", "dataset.frames is 400 there (esc10) and 500 here (esc10)"),
        ("flow", "ours", "0", "should be the 16 digits of a run, or STUDY/METHOD"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_line(
    made: Path, generator: str, dataset: str, fold: str, message: str
) -> None:
    refused(made, message, generator.format(made.parent.name), dataset, fold)


def refused(made: Path, message: str, generator="made/gan", dataset="ours", fold="0") -> None:
    with pytest.raises(UserError) as refusal:
        ours(made.parent, generator, dataset, fold)
    told = str(refusal.value)
    assert told.startswith(f"{made.parent}/ours.yaml:3: augment.generator '{generator}': ")
    assert message in told


def test_two_studies_that_name_each_other_end_in_one_line(made: Path) -> None:
    """Of the other study only the method's own settings are read."""
    written(made.parent / "other.yaml", OURS, GENERATOR="ours/plain", DATASET="ours", FOLD="0")
    refused(made, "'plain' of study 'other' is no generator", "other/plain")


def test_clips_drawn_by_another_seed_are_other_clips(made: Path) -> None:
    few = "frames: 400, few_shot: {per_class: 2}"
    written(made, MADE.replace("frames: 400", few), SEED="3")
    study = OURS.replace("frames: 400", few)
    words = {"GENERATOR": "made/gan", "DATASET": "ours", "FOLD": "0"}
    with pytest.raises(UserError, match="draws other clips for seed 10 than for the generator's"):
        load_study(written(made.parent / "ours.yaml", study, **words))


@pytest.mark.parametrize(
    "augment, message",
    [
        ("share: 1.0", "augment.share 1: should be 0 or more and below 1"),
        ("share: 1", "augment.share 1: should be"),
        ("share: -0.1", "augment.share -0.1: should be"),
        ("share: .nan", "augment.share should be a number, not '.nan'"),
        ("real: true", "augment.share is missing"),
        ("share: 0.1, real: false", "set one of them"),
    ],
)
def test_a_share_is_below_one(tmp_path: Path, augment: str, message: str) -> None:
    study = OURS.replace("share: 0.3", augment)
    words = {"GENERATOR": "0123456789abcdef", "DATASET": "esc10", "FOLD": "0"}
    with pytest.raises(UserError) as refusal:
        load_study(written(tmp_path / "ours.yaml", study, **words))
    assert str(refusal.value).startswith(f"{tmp_path}/ours.yaml:3: ")
    assert message in str(refusal.value)


def test_both_studies_of_digits_fit_together() -> None:
    generators = {task.run_id for task in load_study(EXPERIMENTS / "generators.yaml").tasks}
    augmented = load_study(EXPERIMENTS / "augment.yaml").tasks
    assert {task.augment.generator for task in augmented if task.augment} == generators
    steps = {(task.train.epochs, task.train.batch_size) for task in augmented}
    assert len(steps) == 1


@pytest.mark.parametrize(
    "setting", ["warm_up: 1", "warm_up_steps: 3", "curve: linear", "patience: 2"]
)
def test_a_setting_that_no_generator_obeys_is_refused(tmp_path: Path, setting: str) -> None:
    file = written(tmp_path / "made.yaml", MADE, SEED="10", linear="flow")
    file.write_text(file.read_text() + f"when: [{{method: gan, set: {{train: {{{setting}}}}}}}]\n")
    name = setting.partition(":")[0]
    with pytest.raises(UserError, match=f"train.{name} cannot be combined with a 'generator'"):
        load_study(file)

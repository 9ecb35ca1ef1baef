"""A grid: settings with several values in the matrix, and the names made of them."""

from __future__ import annotations

from typing import Any

import pytest

from petl.config import LoRA, Task
from petl.config.study import Study, study_of
from petl.errors import UserError

PARTS = {"dataset": "esc50", "backbone": "ast", "method": "lora", "fold": 0, "seed": 10}


def study(settings: dict[str, Any], **more: Any) -> Study:
    return study_of({"profile": "as-run", "matrix": PARTS | settings, **more}, "sweep")


def names(study: Study) -> list[str]:
    return [task.names.method for task in study.tasks]


def reduction(task: Task) -> int:
    assert isinstance(task.method, LoRA)
    return task.method.reduction


def test_every_combination_of_values_is_a_task_with_a_name_made_of_them() -> None:
    made = study({"train.lr": [1e-3, 5e-3], "method.reduction": [16, 64]})
    assert names(made) == [
        "lora-lr=0.001-reduction=16",
        "lora-lr=0.001-reduction=64",
        "lora-lr=0.005-reduction=16",
        "lora-lr=0.005-reduction=64",
    ]
    assert made.tasks[3].names.method_label == "LoRA, lr 0.005, reduction 64"
    settings = [(task.train.lr, reduction(task)) for task in made.tasks]
    assert settings == [(1e-3, 16), (1e-3, 64), (5e-3, 16), (5e-3, 64)]
    assert made.grid == ("train.lr", "method.reduction")


def test_a_value_of_the_grid_is_the_run_that_the_same_setting_makes() -> None:
    """Names are not part of an id: what was trained before is found."""
    (grid,) = study({"train.lr": 2e-3}).tasks
    (plain,) = study({}, set={"train": {"lr": 2e-3}}).tasks
    assert grid.run_id == plain.run_id != study({}).tasks[0].run_id


def test_a_value_of_a_dataset_names_the_dataset() -> None:
    (none, mild) = study({"dataset.spec_augment": [None, "mild"]}).tasks
    assert none.dataset.spec_augment is None and mild.dataset.spec_augment is not None
    assert (none.names.dataset, none.names.method) == ("esc50-spec_augment=null", "lora")
    assert mild.names.dataset_label == "ESC · spec_augment mild"


def test_lists_of_values_and_settings_that_end_alike_are_told_apart() -> None:
    assert names(study({"train.betas": [[0.9, 0.98], [0.8, 0.9]]}))[1] == "lora-betas=0.8+0.9"
    alike = study({"dataset.split": "paper", "train.lr": 1e-5, "method.init": "zero-up"}).tasks[0]
    assert alike.names.method == "lora-lr=1e-05-init=zero-up"


def test_the_grid_goes_over_every_other_setting() -> None:
    rule = [{"method": "lora", "set": {"train": {"lr": 1.0}}}]
    assert [task.train.lr for task in study({"train.lr": [2.0, 3.0]}, when=rule).tasks] == [2, 3]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lr": [1, 2]}, "'matrix.lr'; did you mean 'train.lr'?"),
        ({"learning_rate": 1}, "did you mean 'train.lr'?"),
        ({"metod": "lora"}, "did you mean 'method'?"),
        ({"trian.lr": 1.0}, "did you mean 'train.lr'?"),
        ({"train": {"lr": 1.0}}, "write each setting as a key of the matrix, `train.SETTING: "),
        ({"train.learning_rate": 1.0}, "'train.learning_rate'; did you mean 'lr'?"),
        ({"method.rank": 16}, "did you mean 'reduction'? (the rank is the hidden size divided"),
        ({"method.lr": 1.0}, "'method.lr'; did you mean 'train.lr'?"),
        ({"train.lr": [1.0, -1.0]}, "matrix.train.lr.1: train.lr should be greater than 0, not -1"),
        ({"train.lr": [1e-3, 0.001]}, "train.lr: 0.001 is given twice"),
        ({"train.lr": []}, "matrix.train.lr should have at least 1"),
        ({"dataset.spec_augment": {"time": 1}}, "a mapping has no short name; make a preset"),
        ({"train.lr": list(range(1, 9999))}, "9,998 combinations"),
        ({"method": ["lora", "lora"], "method.reduction": 64}, "would be one run"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_right_key(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as error:
        study(settings)
    assert told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"train": {"learning_rate": 1.0}}, "'train.learning_rate'; did you mean 'lr'?"),
        ({"lr": 1.0}, "unknown key 'lr'; did you mean 'train.lr'?"),
        ({"method": {"lora-alpha": 1.0}}, "did you mean 'alpha'?"),
        ({"train": {"frames": 1}}, "'train.frames'; did you mean 'dataset.frames'?"),
        ({"train": {"epoch": 1}}, "'train.epoch'; did you mean 'epochs'?"),
    ],
)
def test_settings_under_other_names_are_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match="unknown key") as error:
        study({}, set=given)
    assert told in str(error.value)

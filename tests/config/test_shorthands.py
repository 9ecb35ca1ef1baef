"""What a study need not say, and what it may say in a word."""

from __future__ import annotations

from typing import Any

import pytest

from petl.config import Task
from petl.config.study import study_of

SHORT: dict[str, Any] = {
    "matrix": {
        "dataset": "birds",
        "backbone": "ast",
        "method": ["conformer-pfeiffer", "lora-and-conformer", "mine"],
        "fold": 0,
        "seed": 1,
    },
    "datasets": {
        "birds": {
            "sound": "other",
            "dataset": {
                **{"corpus": "birds", "layout": "folders", "classes": 4, "folds": 1},
                **{"frames": 300, "split": "given", "spec_augment": "mild"},
            },
            "train": {"epochs": 2, "batch_size": 8},
        }
    },
    "methods": {"mine": {"like": "conformer-pfeiffer", "method": {"block": {"kernel": 5}}}},
}


def kernels(tasks: list[Task]) -> list[int]:
    parts = [part for task in tasks for part in task.method.parts if hasattr(part, "block")]
    return [part.block.kernel for part in parts]


def test_a_study_without_profile_and_report_is_as_intended_and_keeps_small_weights() -> None:
    study = study_of(SHORT, "birds")
    assert study.report == "test_best"
    assert {task.dataset.statistics for task in study.tasks} == {"training-split"}
    assert {task.weights for task in study.tasks} == {"best-if-small"}


@pytest.mark.parametrize(
    ("said", "weights"),
    [
        ({"profile": "as-run"}, "last-if-small"),
        ({"report": "test_last"}, "last-if-small"),
        ({"keep_weights": True}, "best"),
        ({"keep_weights": False}, "none"),
    ],
)
def test_weights_are_those_that_the_study_reports(said: dict[str, Any], weights: str) -> None:
    before, after = study_of(SHORT, "birds"), study_of(SHORT | said, "birds")
    assert {task.weights for task in after.tasks} == {weights}
    if "profile" not in said:
        ids = [[task.run_id for task in study.tasks] for study in (before, after)]
        assert ids[0] == ids[1]


def test_masks_by_name_are_numbers_that_fit_the_clips() -> None:
    tasks = study_of(SHORT, "birds").tasks
    mild = tasks[0].dataset.spec_augment
    assert mild is not None
    assert (mild.frequency, mild.time, mild.mask) == (24, 48, "before-normalisation")
    strong = study_of(SHORT | {"set": {"dataset": {"spec_augment": "strong"}}}, "birds").tasks
    assert strong[0].dataset.spec_augment.time == 60  # type: ignore[union-attr]


def test_the_kernel_of_a_preset_fits_the_kind_of_sound_and_the_study_says_so() -> None:
    study = study_of(SHORT, "birds")
    assert kernels(study.tasks) == [8, 8, 5]
    assert study.notes[0] == "conformer-pfeiffer on birds: kernel 8, for `sound: other`"
    speech = {"birds": SHORT["datasets"]["birds"] | {"sound": "speech"}}
    assert kernels(study_of(SHORT | {"datasets": speech}, "birds").tasks) == [31, 31, 5]


def test_a_kernel_that_the_study_sets_stays() -> None:
    matrix = SHORT["matrix"] | {"method": ["conformer-pfeiffer"]}
    rule = {"set": {"method": {"block": {"kernel": 16}}}}
    assert kernels(study_of(SHORT | {"matrix": matrix} | rule, "birds").tasks) == [16]


def test_datasets_without_a_kind_of_sound_keep_the_presets_kernel() -> None:
    """Also after another dataset of the study has changed it for itself."""
    matrix = SHORT["matrix"] | {"dataset": ["birds", "esc50"]}
    assert kernels(study_of(SHORT | {"matrix": matrix}, "birds").tasks) == [8, 8, 5, 31, 31, 5]

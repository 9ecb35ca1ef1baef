"""The presets for self-supervised checkpoints, and the profile's switches for what is like them."""

from __future__ import annotations

from typing import Any

import pytest

from petl.config import Task
from petl.config.study import expand
from petl.errors import UserError

MATRIX = {"dataset": "esc50", "backbone": "ast", "fold": 0, "seed": 0}
LORA = {"family": "lora", "reduction": 128, "targets": ["q", "v"]}
OWN = {
    "ssl-lora": {"like": "ssl-full", "method": LORA, "train": {"lr": 5e-3}},
    "last-4": {"like": "ssl-last-2", "method": {"layers": 4}},
}


def task(preset: str, profile: str = "as-run", **settings: Any) -> Task:
    study = {"profile": profile, "matrix": MATRIX | {"method": preset}, "methods": OWN}
    return expand(study | {"set": settings}, "study")[0]


def switches(task: Task) -> tuple[str, bool, str]:
    return task.head.norm, task.head.trained, task.train.batch_schedule


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        ("ssl-full", True),
        ("ssl-head", True),
        ("ssl-last-2", False),
        ("last-4", False),
        ("ssl-lora", True),
    ],
)
def test_the_profile_decides_for_a_preset_and_what_is_like_it(method: str, trained: bool) -> None:
    assert switches(task(method)) == ("twice", trained, "ignored")
    assert switches(task(method, "as-intended")) == ("once", True, "obeyed")


@pytest.mark.parametrize("profile", ["as-run", "as-intended"])
@pytest.mark.parametrize("method", ["full", "head", "last-3", "lora", "linear"])
def test_other_methods_are_as_they_were(method: str, profile: str) -> None:
    assert switches(task(method, profile)) == ("once", True, "obeyed")


def test_what_a_study_sets_goes_over_the_profile() -> None:
    assert task("ssl-last-2", head={"trained": True}).head.trained
    assert task("ssl-last-2", head={"norm": "once"}).head.norm == "once"


def test_a_preset_of_the_study_with_the_same_name_is_another_one() -> None:
    own = {"ssl-full": {"method": {"family": "full"}, "train": {"lr": 1e-4}}}
    study = {"profile": "as-run", "matrix": MATRIX | {"method": "ssl-full"}, "methods": own}
    assert switches(expand(study, "study")[0]) == ("once", True, "obeyed")


def test_another_method_takes_the_recipe_and_its_own_switches() -> None:
    lora, intended = task("ssl-lora"), task("ssl-lora", "as-intended")
    assert (lora.method.init, intended.method.init) == ("normal", "zero-up")
    assert (lora.train.lr, lora.train.warm_up_steps, lora.train.weight_decay) == (5e-3, 3, 0)


def test_the_final_norm_can_stay_frozen_behind_the_last_layers() -> None:
    assert not task("ssl-last-2").method.trains_final_norm
    assert task("last-3").method.trains_final_norm
    with pytest.raises(UserError, match=r"method.final_norm 'frozen' needs 'layers'"):
        task("full", method={"final_norm": "frozen"})
    both = [LORA, {"family": "full", "layers": 2, "final_norm": "frozen"}]
    with pytest.raises(UserError, match="in a combination the final LayerNorm trains"):
        task("lora-and-conformer", method={"family": "combine", "methods": both})


def test_two_warm_ups_are_refused() -> None:
    with pytest.raises(UserError, match=r"train.warm_up and train.warm_up_steps: set one"):
        task("ssl-full", train={"warm_up": 1.0})


EMOTIONS = {
    **{"layout": "table", "split": "ratio", "ratio": {"validation": 0.2, "test": 0.2}, "folds": 1},
    **{"table": {"file": "a.csv", "path": "file"}, "classes": None, "targets": ["valence"]},
}


def test_the_best_epoch_is_by_any_metric_of_the_kind() -> None:
    assert task("lora").best_by == "accuracy"
    assert task("lora", train={"best_by": "loss"}).best_by == "loss"
    for name in ("r2", "rmse_valence"):
        assert task("lora", train={"best_by": name}, dataset=EMOTIONS).best_by == name
    have = "accuracy, balanced_accuracy, precision, recall, f1, loss"
    with pytest.raises(UserError, match=f"train.best_by 'rmse': this task has {have}"):
        task("lora", train={"best_by": "rmse"})
    with pytest.raises(UserError, match=r"'accuracy': this task has ccc, .*, rmse_valence"):
        task("lora", train={"best_by": "accuracy"}, dataset=EMOTIONS)

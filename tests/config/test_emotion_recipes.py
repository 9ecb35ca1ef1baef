"""The presets of two released recipes for music emotion, and their studies."""

from __future__ import annotations

from typing import Any

import pytest

from petl.config import Task
from petl.config.study import EXPERIMENTS, expand, load_study
from petl.errors import UserError


def task(dataset: str, backbone: str, method: str = "full", profile: str = "as-intended") -> Task:
    matrix = {"dataset": dataset, "backbone": backbone, "method": method, "fold": 0, "seed": 42}
    return expand({"matrix": matrix, "profile": profile}, "study")[0]


def shown(task: Task, section: str, names: dict[str, Any]) -> dict[str, Any]:
    return {name: task.to_json()[section].get(name) for name in names}


def test_a_window_that_a_model_would_not_hear_whole_is_refused() -> None:
    matrix = {"dataset": "made-up-deam", "backbone": "ast-small", "method": "lora"}
    study = {"matrix": matrix | {"fold": 0, "seed": 0}}
    longer = {"dataset": {"windows": {"length": 2.5}}}
    with pytest.raises(UserError, match=r"length is 2.5 s, and a model hears 2 s"):
        expand(study | {"set": longer}, "study")


def test_the_recipe_of_the_ast() -> None:
    (recipe, *_) = (t for t in load_study(EXPERIMENTS / "deam.yaml").tasks)
    train = {
        **{"lr": 3e-5, "head_lr": 3e-4, "betas": [0.9, 0.999], "weight_decay": 1e-4},
        **{"head_first": 0.25, "clip_norm": 1.0, "patience": 7},
    }
    assert shown(recipe, "train", train) == train
    assert recipe.train.warm_up == 0.05 * recipe.train.epochs
    assert (recipe.names.method, recipe.seed, recipe.backbone.family) == ("full", 42, "ast")
    mel = {
        **{"kind": "mel", "rate": 16000, "n_fft": 1024, "hop": 320, "bins": 128},
        **{"fmin": 50.0, "fmax": 8000.0, "seconds": 10.0},
    }
    front_end = recipe.dataset.front_end.model_dump()
    assert {name: front_end[name] for name in mel} == mel
    assert recipe.dataset.statistics == "clip" and recipe.dataset.windows.length == 10
    masks = recipe.dataset.spec_augment
    assert (masks.frequency, masks.bands, masks.time, masks.stretches) == (15, 2, 30, 1)
    assert (recipe.head.layers, recipe.head.dropout) == ((512, 256, 64), 0.3)


@pytest.mark.parametrize(
    ("profile", "output", "frames", "stretch"),
    [("as-run", "sigmoid", 1024, True), ("as-intended", "linear", 501, False)],
)
def test_the_profiles_of_the_ast_differ(profile, output, frames, stretch) -> None:
    recipe = task("deam-ast", "ast", profile=profile)
    assert recipe.head.output == output
    assert (recipe.dataset.frames, recipe.dataset.front_end.stretch) == (frames, stretch)


def test_the_recipe_of_the_vit() -> None:
    (recipe, *_) = (t for t in load_study(EXPERIMENTS / "deam-vit.yaml").tasks)
    train = {
        **{"epochs": 24, "batch_size": 12, "lr": 1e-5, "head_lr": 1e-4, "betas": [0.9, 0.999]},
        **{"weight_decay": 0.05, "patience": 5},
        "target_weights": {"valence": 0.6, "arousal": 0.4},
    }
    assert shown(recipe, "train", train) == train
    assert recipe.backbone.source == "google/vit-base-patch16-224-in21k"
    picture = {
        **{"kind": "image", "rate": 22050, "n_fft": 2048, "hop": 512, "bins": 128},
        **{"fmin": 20.0, "fmax": 8000.0, "seconds": 30.0},
    }
    front_end = recipe.dataset.front_end.model_dump()
    assert {name: front_end[name] for name in picture} == picture
    assert (recipe.dataset.frames, recipe.dataset.bins) == (224, 224)
    assert (recipe.dataset.windows.length, recipe.dataset.windows.take) == (30, "middle")
    assert (recipe.head.layers, recipe.head.dropout) == ((), 0.1)


@pytest.mark.parametrize("profile", ["as-run", "as-intended"])
@pytest.mark.parametrize("dataset", ["deam-ast", "deam-vit"])
def test_songs_are_split_by_artist_in_five_folds_and_scaled(dataset: str, profile: str) -> None:
    recipe = task(dataset, dataset.removeprefix("deam-"), profile=profile)
    assert (recipe.dataset.split, recipe.dataset.folds) == ("grouped", 5)
    assert (recipe.dataset.scale.centre, recipe.dataset.scale.spread) == (5, 4)

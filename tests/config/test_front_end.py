"""The front end as a setting: what fits together, and that the default is no setting at all."""

from __future__ import annotations

from typing import Any

import pytest

from petl.config import Task
from petl.config.study import study_of
from petl.errors import UserError

VIT = {"rate": 22_050, "n_fft": 2048, "hop": 512, "bins": 128, "fmin": 20.0, "fmax": 8000.0}
IMAGE = {"kind": "image", "seconds": 30.0, **VIT}
MEL = IMAGE | {"kind": "mel"}


def task(backbone: str = "vit", **dataset: Any) -> Task:
    songs = {
        **{"corpus": "songs", "layout": "folders", "classes": 2, "folds": 1, "frames": 1292},
        **{"split": "given", "spec_augment": None, "statistics": "clip", **dataset},
    }
    study = {
        "matrix": {"dataset": "songs", "backbone": backbone, "method": "lora"}
        | {"fold": 0, "seed": 0},
        "datasets": {"songs": {"dataset": songs, "train": {"epochs": 1, "batch_size": 1}}},
    }
    return study_of(study, "songs").tasks[0]


def test_the_asts_own_front_end_changes_no_run_id() -> None:
    plain = {"frames": 500, "statistics": "training-split"}
    assert task(**plain).run_id == task(front_end={"kind": "ast"}, **plain).run_id


def test_every_setting_of_a_front_end_changes_the_run_id() -> None:
    ids = {task(frames=224, front_end=IMAGE).run_id, task(front_end=MEL).run_id}
    ids |= {task(front_end=MEL | change).run_id for change in ({"fmin": 30.0}, {"stretch": True})}
    assert len(ids) == 4


def test_a_model_reads_as_many_bins_as_the_front_end_makes() -> None:
    image = task(frames=224, front_end=IMAGE).dataset
    assert (image.bins, image.seconds) == (224, 30.0)
    assert task(front_end=MEL).dataset.bins == 128


@pytest.mark.parametrize(
    ("backbone", "dataset", "problem"),
    [
        ("vit", {"front_end": MEL, "frames": 1000}, "30 s make 1292 frames: set .* to 1292"),
        ("vit", {"front_end": MEL | {"fmax": 12_000.0}}, "nothing above 11025 Hz"),
        ("vit", {"front_end": MEL | {"fmin": 8000.0}}, "fmin 8000 is not below fmax 8000"),
        ("vit", {"front_end": MEL, "statistics": "training-split"}, "dataset.statistics to clip"),
        ("vit", {"statistics": "clip"}, "'clip' is for the front ends mel and image"),
        ("ast", {"front_end": IMAGE, "frames": 224}, "the AST reads 'ast' and 'mel'"),
        ("wav2vec2", {"front_end": MEL}, "wav2vec 2.0 reads waveforms"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(
    backbone: str, dataset: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        task(backbone, **dataset)

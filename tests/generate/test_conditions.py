"""What a generator is given and asked for: targets as numbers, drawn from training clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from petl.config import Dataset
from petl.errors import UserError
from petl.generate.conditions import as_targets, drawn, names, ranges, vectors

OWN = {"corpus": "own", "folds": 5, "frames": 16, "statistics": "training-split"}
TABLE = {"layout": "table", "split": "k-fold", "spec_augment": None}
COLUMNS = {"file": "clips.csv", "path": "path"}


def dataset(**settings: Any) -> Dataset:
    return Dataset.model_validate({**OWN, **TABLE, **settings})


NUMBERS = dataset(targets=["valence", "arousal"], table=COLUMNS)
ONE = dataset(classes=3, table=COLUMNS | {"label": "sound"})
SEVERAL = dataset(classes=3, table=COLUMNS | {"label": "sound", "separator": ";"})


@pytest.mark.parametrize(
    ("of", "targets", "expected"),
    [
        (ONE, np.array([2, 0]), [[0, 0, 1], [1, 0, 0]]),
        (SEVERAL, np.array([[1, 0, 1], [0, 0, 0]], np.uint8), [[1, 0, 1], [0, 0, 0]]),
        (NUMBERS, np.array([[0.5, -0.25]], np.float32), [[0.5, -0.25]]),
    ],
)
def test_targets_become_conditions_and_targets_again(of: Dataset, targets, expected) -> None:
    found = vectors(of, targets)
    assert found.dtype == torch.float32 and found.tolist() == expected
    back = as_targets(of, found)
    assert back.dtype == targets.dtype and (back == targets).all()


def test_a_dataset_without_labels_has_nothing_to_ask_for() -> None:
    sounds = dataset(layout="sounds", classes=None)
    with pytest.raises(UserError, match="neither 'classes' nor 'targets'"):
        vectors(sounds, np.zeros(3))


def test_drawn_numbers_are_pairs_of_the_training_clips_with_a_little_noise() -> None:
    line = torch.linspace(-1, 1, 50)
    known = torch.stack([line, 2 * line], dim=1)
    found = drawn(known, NUMBERS, 400, seed=1)
    assert torch.equal(found, drawn(known, NUMBERS, 400, seed=1))
    assert not torch.equal(found, drawn(known, NUMBERS, 400, seed=2))
    assert (found[:, 1] - 2 * found[:, 0]).abs().max() < 0.6  # pairs, not a filled square
    assert not torch.isin(found[:, 0], line).all()
    assert (found.amin(dim=0) >= known.amin(dim=0)).all()
    assert (found.amax(dim=0) <= known.amax(dim=0)).all()


def test_drawn_classes_are_those_of_training_clips() -> None:
    known = vectors(ONE, np.array([0, 0, 0, 2]))
    found = drawn(known, ONE, 400, seed=1)
    assert found.sum(dim=0)[1] == 0 and 250 < found.sum(dim=0)[0] < 350


def test_conditions_have_names_and_ranges() -> None:
    known = torch.tensor([[-0.5, 0.25], [0.5, 0.0]])
    assert ranges(known, names(NUMBERS, ())) == {"valence": (-0.5, 0.5), "arousal": (0.0, 0.25)}
    assert names(ONE, ("a", "b", "c")) == ("a", "b", "c")

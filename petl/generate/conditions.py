"""The conditions of clips: the numbers that a generator is given, and asked for.

One number for each target of a regression, scaled as a model learns it; for each class 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from petl import config
from petl.config.kinds import NO_LABELS, NUMBERS, ONE_LABEL
from petl.errors import UserError

NOISE = 0.05
"""On drawn numbers: a share of each target's deviation over the training clips."""

Ranges = dict[str, tuple[float, float]]
"""The lowest and the highest value of the training clips, by the condition's name, in order."""


def vectors(dataset: config.Dataset, targets: np.ndarray) -> Tensor:
    """(clips, conditions) in float32, from the targets as `petl.data.load` gives them."""
    if dataset.kind is NO_LABELS:
        raise UserError(
            f"dataset {dataset.corpus}: a generator is asked for labels, and this dataset has "
            "neither 'classes' nor 'targets'"
        )
    found = torch.from_numpy(np.array(targets))
    if dataset.kind is ONE_LABEL:
        found = F.one_hot(found, dataset.outputs)
    return found.float()


def as_targets(dataset: config.Dataset, conditions: Tensor) -> np.ndarray:
    """The targets of clips with these conditions: the way back from `vectors`."""
    if dataset.kind is ONE_LABEL:
        return conditions.argmax(dim=1).numpy()
    return conditions.numpy() if dataset.kind is NUMBERS else conditions.to(torch.uint8).numpy()


def drawn(known: Tensor, dataset: config.Dataset, number: int, seed: int) -> Tensor:
    """Conditions to sample with: those of training clips, drawn with replacement.

    Numbers get a little noise, and stay in the training clips' range. Two that go together, as
    valence and arousal, do so in what is drawn.
    """
    draws = torch.Generator().manual_seed(seed)
    chosen = known[torch.randint(len(known), (number,), generator=draws)]
    if dataset.kind is not NUMBERS:
        return chosen
    noise = torch.randn(chosen.shape, generator=draws) * known.std(dim=0, unbiased=False)
    low, high = known.amin(dim=0), known.amax(dim=0)
    return torch.minimum(torch.maximum(chosen + NOISE * noise, low), high)


def names(dataset: config.Dataset, classes: Sequence[str]) -> tuple[str, ...]:
    """Of the columns of `vectors`: targets, or classes."""
    return dataset.targets or tuple(classes)


def ranges(known: Tensor, columns: Sequence[str]) -> Ranges:
    """`known`: the conditions of the training clips, whose columns have these names."""
    ends = zip(known.amin(dim=0).tolist(), known.amax(dim=0).tolist(), strict=True)
    return dict(zip(columns, ends, strict=True))

"""Collapse of a generator, noticed while it is fitted: from each step's curves and each look.

A fit that starts badly and recovers is no collapse, so every rule waits for many steps or looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import torch
from torch import Tensor

CERTAIN_STEPS, CERTAIN_SHARE = 200, 0.95
"""The discriminator is certain in so many of the last steps."""
RIGHT, NO_LOSS = 0.99, 0.01
NORMS, FEWEST_NORMS = 200, 50
EXPLODED, EXPLODED_STEPS = 100.0, 10
"""So many steps in a row, a gradient is larger than the median before by this factor."""
FIRST_LOOKS, LOW_LOOKS = 2, 2
"""Looks before diversity counts, besides as many steps as `NORMS`; and how many in a row it has to
be wrong."""
LOWEST, HIGHEST = 0.2, 10.0


class Watch:
    """`step` and `look` return a sentence when the fit has collapsed, and None while it is well."""

    def __init__(self) -> None:
        self.certain: list[bool] = []
        self.norms: dict[str, list[float]] = {}
        """Of the last steps without those that were far too large."""
        self.large: dict[str, int] = {}
        self.looks = self.low = 0

    def step(self, curves: Mapping[str, float]) -> str | None:
        """After each step, with what it tells: names that begin with right_ and gradient_."""
        right = [value for name, value in curves.items() if name.startswith("right_")]
        if right:
            sure = min(right) >= RIGHT and curves["loss_discriminator"] < NO_LOSS
            self.certain = [*self.certain, sure][-CERTAIN_STEPS:]
        if sum(self.certain) >= CERTAIN_SHARE * CERTAIN_STEPS:
            return (
                f"the discriminator told real from synthetic clips without a mistake in "
                f"{sum(self.certain)} of the last {len(self.certain)} steps, so the generator "
                "learns nothing more from it"
            )
        for name, value in curves.items():
            if name.startswith("gradient_") and (verdict := self._norm(name, value)):
                return verdict
        return None

    def _norm(self, name: str, value: float) -> str | None:
        known = self.norms.setdefault(name, [])
        usual = median(known) if len(known) >= FEWEST_NORMS else None
        if not usual or value <= EXPLODED * usual:
            self.norms[name], self.large[name] = [*known, value][-NORMS:], 0
            return None
        self.large[name] += 1
        if self.large[name] < EXPLODED_STEPS:
            return None
        network = name.removeprefix("gradient_")
        return (
            f"the gradient of the {network} is {value / usual:,.0f} times as large as before, for "
            f"{EXPLODED_STEPS} steps in a row"
        )

    def look(self, diversity: float) -> str | None:
        """After each look at samples, with their `diversity`."""
        self.looks += 1
        steps = max((len(known) for known in self.norms.values()), default=0)
        if self.looks <= FIRST_LOOKS or steps < NORMS:
            return None
        self.low = 0 if LOWEST <= diversity <= HIGHEST else self.low + 1
        if self.low < LOW_LOOKS:
            return None
        return (
            f"synthetic clips of one condition differ {diversity:.2f} times as much as real ones, "
            f"for {LOW_LOOKS} looks in a row (healthy: {LOWEST:g} to {HIGHEST:g})"
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "certain": list(self.certain),
            "norms": {name: list(values) for name, values in self.norms.items()},
            "large": dict(self.large),
            "looks": self.looks,
            "low": self.low,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


def diversity(made: Tensor, conditions: Tensor, real: Tensor, real_conditions: Tensor) -> float:
    """How much synthetic clips of one condition differ, as a share of how much real ones do.

    A generator that ignores its noise still gives other clips for other conditions, so each clip is
    compared with those whose conditions are nearest: of the same class, or of similar numbers.
    """
    return _spread(made, conditions) / max(_spread(real, real_conditions), 1e-12)


def _spread(clips: Tensor, conditions: Tensor) -> float:
    """The mean distance to the clips of the nearest condition, by mel means and deviations."""
    features = torch.cat([clips.mean(1), clips.std(1)], dim=1).double()
    far = torch.eye(len(clips), dtype=torch.bool)
    apart = torch.cdist(conditions.double(), conditions.double()).masked_fill(far, torch.inf)
    near = apart <= apart.amin(1, keepdim=True) + 1e-9
    return float((torch.cdist(features, features) * near).sum(1).div(near.sum(1)).mean())

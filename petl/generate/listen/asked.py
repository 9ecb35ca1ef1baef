"""The conditions that somebody asks a generator for: `--at valence=0.6,arousal=-0.2`, or classes.

A target's value is in the unit of the dataset's table, as in the answers of `petl predict`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from petl.config import Dataset
from petl.config.kinds import NUMBERS
from petl.errors import UserError, nearest


@dataclass(frozen=True)
class Asked:
    title: str
    values: tuple[float, ...]
    """As the generator is given them: targets scaled, 1 for a class and 0 for the others."""


@dataclass(frozen=True)
class Conditions:
    """What a generator can be asked for."""

    dataset: Dataset
    ranges: Mapping[str, tuple[float, float]]
    """Of the training clips, scaled; by the names of targets or classes, in order."""

    @property
    def of_numbers(self) -> bool:
        return self.dataset.kind is NUMBERS

    def at(self, text: str) -> Asked:
        """`valence=0.6,arousal=-0.2`: all targets, in any order."""
        if not self.of_numbers:
            raise UserError(f"--at {text}: this generator has classes; ask with --class NAME")
        given: dict[str, float] = {}
        for part in text.split(","):
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals:
                raise UserError(f"--at {text}: '{part}' should be TARGET=NUMBER")
            if name not in self.ranges:
                raise UserError(f"--at {text}: no target '{name}'{nearest(name, self.ranges)}")
            if name in given:
                raise UserError(f"--at {text}: {name} stands there twice")
            given[name] = _number(value, f"--at {text}: {name}")
        if missing := [name for name in self.ranges if name not in given]:
            raise UserError(f"--at {text}: {missing[0]} is missing; it takes all targets")
        return self.of([self._scaled(given[name]) for name in self.ranges])

    def of_class(self, name: str) -> Asked:
        if self.of_numbers:
            targets = ",".join(f"{target}=NUMBER" for target in self.ranges)
            raise UserError(f"--class {name}: this generator has targets; ask with --at {targets}")
        if name not in self.ranges:
            raise UserError(f"--class {name}: no such class{nearest(name, self.ranges)}")
        return self.of([float(name == known) for known in self.ranges])

    def of(self, values: Sequence[float]) -> Asked:
        """From what the generator is given."""
        names = list(self.ranges)
        if self.of_numbers:
            title = ", ".join(
                f"{name} {self.shown(value)}" for name, value in zip(names, values, strict=True)
            )
        else:
            title = ", ".join(name for name, value in zip(names, values, strict=True) if value)
        return Asked(title or "no class", tuple(values))

    def outside(self, asked: Sequence[Asked]) -> str:
        """The first value that no training clip comes near; empty if all are inside."""
        if not self.of_numbers:
            return ""
        for one in asked:
            for (name, (low, high)), value in zip(self.ranges.items(), one.values, strict=True):
                slack = 1e-6 * max(1.0, high - low)  # what scaling rounds
                if not low - slack <= value <= high + slack:
                    ends = f"{self.shown(low)} to {self.shown(high)}"
                    return (
                        f"{name} {self.shown(value)} is outside the training labels' range of "
                        f"{ends}{self._unit(value, low, high)}"
                    )
        return ""

    def shown(self, value: float) -> str:
        """In the unit of the table."""
        scale = self.dataset.scale
        return f"{value if scale is None else scale.undone(value):.3g}"

    def _scaled(self, value: float) -> float:
        scale = self.dataset.scale
        return value if scale is None else float(scale.of(value))

    def _unit(self, value: float, low: float, high: float) -> str:
        """Perhaps the number was meant as the model learns it."""
        scale = self.dataset.scale
        if scale is None or not low <= (meant := scale.undone(value)) <= high:
            return ""
        return (
            f"; numbers are in the unit of the table: {meant:.3g}, as a model learns it, is "
            f"{self.shown(meant)} there"
        )


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"{where}: '{text}' is not a number") from None
    if not math.isfinite(number):
        raise UserError(f"{where}: {text} is not a finite number")
    return number

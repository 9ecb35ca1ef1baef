"""How a metric is printed: in per cent or not, with how many digits, highest or lowest first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from analysis.collect import ALWAYS, is_metric
from petl.config.kinds import HEADLINES, metric
from petl.errors import UserError, nearest
from petl.runs.result import SPLITS

COSTS = {
    "gpu_hours": "GPU hours",
    "timing.seconds": "Seconds",
    "peak_memory_mb": "Peak memory in MB",
}
PARTS = {"test": "Test", "val": "Validation", "train": "Training"}
EPOCHS = {
    "test_last": " of the last epoch",
    "test_best": " of the best epoch",
    "val_best": " of the best epoch",
}


@dataclass(frozen=True)
class Measure:
    """`column`: of `analysis.load`, such as `test_last.accuracy`."""

    column: str
    digits: int

    @classmethod
    def of(cls, column: str, digits: int | None = None) -> Measure:
        if digits is None:
            digits = 1 if cls(column, 3).percent or column in COSTS else 3
        return cls(column, digits)

    @property
    def name(self) -> str:
        return self.column.rpartition(".")[2]

    @property
    def percent(self) -> bool:
        return metric(self.name).percent

    @property
    def lowest_first(self) -> bool:
        return metric(self.name).lowest_first or self.column in COSTS

    @property
    def title(self) -> str:
        """`Test accuracy`, `Validation loss`, `GPU hours`."""
        if self.column in COSTS:
            return COSTS[self.column]
        what = PARTS.get(self.column.partition("_")[0], "")
        words = f"{what} {metric(self.name).title}".strip()
        return words[0].upper() + words[1:]

    @property
    def in_words(self) -> str:
        """`Test accuracy of the last epoch, in per cent`."""
        words = f"{self.title}{EPOCHS.get(self.column.partition('.')[0], '')}"
        return f"{words}, in per cent" if self.percent else words

    def scaled(self, value: float) -> float:
        return 100 * value if self.percent else value

    def text(self, value: float) -> str:
        return "NaN" if math.isnan(value) else _unsigned_zero(f"{value:.{self.digits}f}")

    def signed(self, difference: float) -> str:
        return _unsigned_zero(f"{difference:+.{self.digits}f}").replace("-", "\u2212")


def _unsigned_zero(text: str) -> str:
    """`-0.0` looks like a difference."""
    return text.lstrip("+-") if float(text) == 0 else text


def choose(frame: pd.DataFrame, wanted: str, digits: int | None = None) -> Measure:
    """`test_best.loss`, `gpu_hours`, or `test_best` for the headline metric of these tasks."""
    known = measured(frame)
    names = [wanted, *(f"{wanted}.{headline}" for headline in HEADLINES)]
    column = next((name for name in names if name in known), None)
    if column is None:  # NaN in all runs: the table shows it
        column = next((name for name in names[1:] if name in frame), None)
    if column is None:
        raise UserError(f"no finished run has the metric '{wanted}'{nearest(wanted, known)}")
    return Measure.of(column, digits)


def measured(frame: pd.DataFrame) -> list[str]:
    """The columns that some finished run has, even if all of them are NaN."""
    done = frame[frame["state"] == "done"]
    names = [name for name in done if is_metric(name) or name in COSTS]
    filled = {*ALWAYS, *(f"{split}.{name}" for split in SPLITS for name in HEADLINES)}
    return [name for name in names if name not in filled or done[name].notna().any()]

"""Two runs of one task, compared: identical, within the spread over folds, or different."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from statistics import pstdev
from typing import Any, Literal, NamedTuple

from petl.errors import UserError, several
from petl.runs.directory import RunDir
from petl.runs.result import Result, Summary

Kind = Literal["identical", "within", "different"]
TESTS = ("test_last", "test_best")
CLOCK = "seconds"
"""The one column of metrics.jsonl that may differ."""
ALIKE = ("metrics", "confusion", "best_epoch", "epochs", "params", "statistics", "classes", "clips")
"""What of two results has to be equal."""
NOT_KEPT = "not compared: neither run kept them"


class Copy(NamedTuple):
    """What is compared of a run."""

    result: Result
    rows: Sequence[Mapping[str, Any]]
    weights: bytes | None


class Gap(NamedTuple):
    """A score of the test set that differs; `spread` is None where the cell has one fold."""

    score: str
    before: float
    after: float
    spread: float | None

    @property
    def size(self) -> float:
        return abs(self.after - self.before)

    @property
    def is_within(self) -> bool:
        """A NaN on one side is never within."""
        return self.size <= (self.spread or 0.0)

    def __str__(self) -> str:
        of = "unknown (one fold)" if self.spread is None else f"{self.spread:.3g}"
        return f"{self.score} differs by {self.size:.3g}; spread over folds {of}"


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    epochs: str
    """`all 12 equal`, or the first epoch and metric that part ways."""
    weights: str
    largest: Gap | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"largest": self.largest and self.largest._asdict()}


def read_copy(run: RunDir) -> Copy:
    if (result := run.result()) is None:
        raise UserError(f"{run.path}: not finished, so there is nothing to compare")
    return Copy(result, run.metrics(), run.read(run.weights_file.name))


def compare(before: Copy, after: Copy, spread: Mapping[str, float]) -> Verdict:
    """`spread`: of each score, over the folds of the cell that the first run belongs to."""
    epochs = first_difference(before.rows, after.rows)
    weights = _weights(before.weights, after.weights)
    results = all(same(before.result.get(key), after.result.get(key)) for key in ALIKE)
    recorded = len(before.rows) == before.result["epochs"]
    if not recorded:
        epochs = f"the first run's metrics.jsonl has {len(before.rows)} of its epochs"
    gaps = _gaps(before.result, after.result, spread)
    largest = max(gaps, key=_weight, default=None)
    kind: Kind = "different"
    if results and not epochs and weights in ("", NOT_KEPT):
        kind = "identical"
    elif recorded and all(gap.is_within for gap in gaps):
        kind = "within"
    return Verdict(kind, epochs or f"all {len(before.rows)} equal", weights or "equal", largest)


def spread_over_folds(results: Iterable[Summary]) -> dict[str, float]:
    """The population standard deviation of each test score, as in a table's cell."""
    scores: dict[str, list[float]] = {}
    for result in results:
        for score, value in _scores(result):
            scores.setdefault(score, []).append(value)
    return {score: pstdev(values) for score, values in scores.items() if len(values) > 1}


def first_difference(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> str:
    """Empty if all epochs have the same numbers."""
    for a, b in zip_longest(before, after):
        if a is None or b is None:
            return f"{several(len(before), 'epoch')}, and {len(after)} again"
        for name in a:
            if name != CLOCK and not same(a.get(name), b.get(name)):
                return f"epoch {a['epoch']}: {name} {a.get(name)}, and {b.get(name)} again"
    return ""


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit; a NaN is equal to a NaN. A newer version may measure more in `b`."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() <= b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b)


def _scores(result: Summary) -> Iterable[tuple[str, float]]:
    for split in TESTS:
        for name, value in result["metrics"][split].items():  # type: ignore[literal-required]
            yield f"{split}.{name}", value


def _gaps(before: Result, after: Result, spread: Mapping[str, float]) -> list[Gap]:
    again = dict(_scores(after))
    gaps = [
        Gap(score, value, again.get(score, math.nan), spread.get(score))
        for score, value in _scores(before)
    ]
    return [gap for gap in gaps if not same(gap.before, gap.after)]


def _weight(gap: Gap) -> float:
    """Large where a score differs by more than the folds do."""
    return math.inf if math.isnan(gap.size) or not gap.spread else gap.size / gap.spread


def _weights(before: bytes | None, after: bytes | None) -> str:
    """Empty if all tensors have the same bits."""
    if before is None and after is None:
        return NOT_KEPT
    if before is None or after is None:
        return f"not compared: the {'first' if before is None else 'second'} run kept none"
    if before == after:
        return ""
    from safetensors import SafetensorError, deserialize

    try:
        a, b = dict(deserialize(before)), dict(deserialize(after))
    except SafetensorError:
        return "not compared: a damaged file"
    if a.keys() != b.keys():
        return "tensors of other names"
    unequal = sorted(name for name in a if a[name] != b[name])
    if not unequal:
        return ""
    far = max(_distance(a[name], b[name]) for name in unequal)
    return f"{len(unequal)} of {len(a)} tensors differ, by at most {far:.2g}"


def _distance(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Of two tensors of one shape; infinite where numbers cannot be compared."""
    import numpy as np

    types = {"F32": np.float32, "F64": np.float64, "F16": np.float16, "I64": np.int64}
    if (a["dtype"], a["shape"]) != (b["dtype"], b["shape"]) or a["dtype"] not in types:
        return math.inf
    x, y = (np.frombuffer(one["data"], types[one["dtype"]]).astype(np.float64) for one in (a, b))
    with np.errstate(invalid="ignore"):
        far = np.abs(x - y).max()
    return math.inf if math.isnan(far) else float(far)

"""A study's table before it has a format: methods down, datasets across, as in the paper.

Two rules keep it honest. A cell over fewer runs than the study asks for says so; it is not ranked,
and its row has no average. And numbers that print alike share their mark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from analysis.codes import codes
from analysis.measure import Measure
from analysis.spread import SPREADS, Spread
from petl.config.kinds import FLOORS
from petl.errors import UserError, nearest

DASH = "\u2013"
PARAMS = "params.trainable_without_head"
KEY = ["backbone", "method", "dataset"]
GROUP = " · "
"""In a label: `ESC · 4` is column 4 under the common head ESC."""

APART = 0.1
"""Where a method's parameters differ by more than this share, datasets get separate columns."""


@dataclass(frozen=True)
class Cell:
    """`by_fold`: each fold with a finished run, and the mean over its seeds."""

    by_fold: tuple[tuple[int, float], ...]
    spread: float | None
    finished: int
    expected: int
    params: int | None
    synthetic: bool = False
    mixed: bool = False
    """Its runs were made with several codes."""

    @property
    def folds(self) -> tuple[float, ...]:
        return tuple(value for _, value in self.by_fold)

    @property
    def mean(self) -> float:
        return sum(self.folds) / len(self.folds) if self.folds else math.nan

    @property
    def std(self) -> float | None:
        """1/k, as published; None for one fold."""
        return SPREADS["population-std"].of(self.folds)

    @property
    def complete(self) -> bool:
        return self.finished == self.expected > 0

    @property
    def counts(self) -> str:
        return "" if self.finished == self.expected else f"({self.finished}/{self.expected})"


@dataclass(frozen=True)
class Row:
    """A method on one backbone. `group`: its kind, for the lines between kinds."""

    backbone: str
    method: str
    label: str
    method_label: str
    group: str
    cells: tuple[Cell, ...]

    @property
    def average(self) -> float | None:
        whole = all(cell.complete for cell in self.cells)
        return sum(cell.mean for cell in self.cells) / len(self.cells) if whole else None

    @property
    def synthetic(self) -> bool:
        return any(cell.synthetic for cell in self.cells)

    def params(self, columns: Iterable[int]) -> str:
        """`251K`, or `270K-272K` where the datasets' settings differ."""
        counts = [self.cells[i].params for i in columns]
        known = [count for count in counts if count is not None]
        ends = dict.fromkeys(short(count) for count in (min(known), max(known))) if known else ()
        return DASH.join(ends) or DASH


@dataclass(frozen=True)
class Dataset:
    name: str
    label: str

    @property
    def group(self) -> str:
        return self.label.partition(GROUP)[0] if GROUP in self.label else ""

    @property
    def title(self) -> str:
        return self.label.partition(GROUP)[2] or self.label


@dataclass(frozen=True)
class Table:
    study: str
    measure: Measure
    spread: Spread
    datasets: tuple[Dataset, ...]
    rows: tuple[Row, ...] = field(repr=False)
    floors: tuple[Row, ...] = field(default=(), repr=False)
    """What predicts a regression's targets without a network, on the same splits, or what real
    clips measure in the place of synthetic ones. Not ranked."""

    @property
    def title(self) -> str:
        return f"{self.study}: {self.measure.in_words}"

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """The methods, then the floors."""
        return (*self.rows, *self.floors)

    @property
    def synthetic(self) -> int:
        """The number of cells with made-up numbers."""
        return sum(cell.synthetic for row in self.rows for cell in row.cells)

    @property
    def has_average(self) -> bool:
        """Not over columns under common heads, such as 1, 2 and 4 examples per class."""
        return len(self.datasets) > 1 and not any(dataset.group for dataset in self.datasets)

    @property
    def grouped(self) -> bool:
        """Draw lines between kinds of methods, unless most kinds are a single row."""
        return len(self.rows) >= 2 * len({row.group for row in self.rows}) > 2

    @cached_property
    def params_blocks(self) -> tuple[range, ...]:
        """Neighbouring datasets that share a column of parameters."""
        starts = [0]
        for i in range(1, len(self.datasets)):
            pairs = ((row.cells[starts[-1]].params, row.cells[i].params) for row in self.rows)
            if any(a is not None and b is not None and _apart(a, b) for a, b in pairs):
                starts.append(i)
        return tuple(map(range, starts, [*starts[1:], len(self.datasets)]))

    def marks(self, column: int) -> list[str]:
        """`best`, `second` or nothing for each row; the column after the datasets' is Avg."""
        if column == len(self.datasets):
            values = [row.average for row in self.rows]
        else:
            cells = [row.cells[column] for row in self.rows]
            values = [cell.mean if cell.complete else None for cell in cells]
        return podium(values, self.measure)

    def row(self, wanted: str) -> int:
        """Find it by name, by label, or by a unique beginning of either."""
        names = [(row.method, row.label, row.method_label) for row in self.rows]
        return _find("row", wanted, names)

    def column(self, wanted: str) -> int:
        names = [(dataset.name, dataset.label) for dataset in self.datasets]
        return _find("column", wanted, names)


def build(frame: pd.DataFrame, metric: Measure | str, spread: str = "population-std") -> Table:
    """One metric of `analysis.load`'s rows; methods and datasets keep the study's order."""
    measure = metric if isinstance(metric, Measure) else Measure.of(metric)
    how = SPREADS[spread]
    _refuse_two_runs_for_one(frame)
    labels = frame[["dataset", "dataset_label"]].drop_duplicates("dataset")
    datasets = tuple(Dataset(*pair) for pair in labels.itertuples(index=False, name=None))
    names, indices = method_names(frame), frame.groupby(KEY, sort=False).indices
    rows = []
    for (backbone, method), runs in frame.groupby(["backbone", "method"], sort=False):
        of_cells = [indices.get((backbone, method, dataset.name), []) for dataset in datasets]
        cells = tuple(_cell(frame.iloc[numbers], measure, how) for numbers in of_cells)
        label, method_label = names[runs.index[0]], runs["method_label"].iloc[0]
        rows.append(Row(backbone, method, label, method_label, _group(runs), cells))
    floors = tuple(_floors(frame, measure, how, datasets))
    return Table(frame["study"].iloc[0], measure, how, datasets, tuple(rows), floors)


def _floors(
    frame: pd.DataFrame, measure: Measure, spread: Spread, datasets: Sequence[Dataset]
) -> Iterator[Row]:
    """Runs of one split have the same floors, and count once."""
    for name, label in FLOORS.items():
        column = f"floors.{name}.{measure.name}"
        if not measure.column.startswith("test_") or column not in frame:
            continue
        cells = []
        for dataset in datasets:
            runs = frame[frame["dataset"] == dataset.name]
            splits = runs.groupby(["fold", "seed"])[column].mean()
            means = splits.dropna().groupby("fold").mean()
            by_fold = tuple((int(fold), measure.scaled(value)) for fold, value in means.items())
            known = int(splits.notna().sum())
            of_folds = spread.of([value for _, value in by_fold])
            cells.append(Cell(by_fold, of_folds, known, len(splits) if known else 0, None))
        if any(cell.finished for cell in cells):
            yield Row("", name, label, label, "floor", tuple(cells))


def method_names(frame: pd.DataFrame) -> pd.Series:
    """The method's label for each run, with the backbone where there are several."""
    several = frame["backbone"].nunique() > 1
    return frame["method_label"] + (" (" + frame["backbone"] + ")" if several else "")


def _cell(runs: pd.DataFrame, measure: Measure, spread: Spread) -> Cell:
    done = runs[runs["state"] == "done"]
    # a NaN must stay visible: pandas would leave it out of the mean
    means = done.groupby("fold")[measure.column].agg(lambda seeds: seeds.mean(skipna=False))
    by_fold = tuple((int(fold), measure.scaled(float(mean))) for fold, mean in means.items())
    params = done[PARAMS].dropna()
    return Cell(
        by_fold,
        spread.of([mean for _, mean in by_fold]),
        finished=len(done),
        expected=len(runs),
        params=int(params.iloc[0]) if len(params) else None,
        synthetic=bool(done["synthetic"].any()),
        mixed=bool(codes(done)),
    )


def _refuse_two_runs_for_one(frame: pd.DataFrame) -> None:
    """Folders may hold runs of other settings under the same names: their mean means nothing."""
    same = [*KEY, "fold", "seed"]
    twice = frame[frame.duplicated(same, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        runs = twice[(twice[same] == first[same]).all(axis=1)]["run_id"]
        where = f"{first.dataset} · {first.method} · fold {first.fold} · seed {first.seed}"
        raise UserError(
            f"{where}: {len(runs)} runs, {', '.join(runs)}; give the study, or one folder"
        )


def _group(runs: pd.DataFrame) -> str:
    first = runs.iloc[0]
    family, block = first.get("method.family"), first.get("method.block.kind")
    if family in ("full", "linear", "head", "gradual"):
        return "before"
    return str(block) if isinstance(block, str) and family == "adapter" else "others"


def _apart(a: int, b: int) -> bool:
    return abs(a - b) > APART * max(a, b)


def _find(what: str, wanted: str, names: Sequence[tuple[str, ...]]) -> int:
    low = wanted.casefold()
    exact = [i for i, known in enumerate(names) if low in map(str.casefold, known)]
    begins = [
        i for i, known in enumerate(names) if any(k.casefold().startswith(low) for k in known)
    ]
    matches = exact or begins
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UserError(f"no {what} '{wanted}'{nearest(wanted, [n for k in names for n in k])}")
    which = ", ".join(f"'{names[i][1]}'" for i in matches)
    raise UserError(f"'{wanted}' matches several {what}s: {which}; write more of the name")


def podium(values: list[float | None], measure: Measure) -> list[str]:
    """Best and second best as printed; ties share a mark, and a single value has none."""
    printed = [None if v is None or math.isnan(v) else float(measure.text(v)) for v in values]
    known = [v for v in printed if v is not None]
    ranked = sorted(set(known), reverse=not measure.lowest_first) if len(known) > 1 else []
    names = dict(zip(ranked, ("best", "second"), strict=False))
    return [names.get(v, "") if v is not None else "" for v in printed]


def short(count: int) -> str:
    """`250512` -> `251K`: three digits."""
    rounded = float(f"{count:.3g}")
    for size, unit in ((1e6, "M"), (1e3, "K")):
        if rounded >= size:
            return f"{rounded / size:.3g}{unit}"
    return f"{rounded:.0f}"

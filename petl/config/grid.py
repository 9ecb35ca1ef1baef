"""Settings of which a study's matrix gives several values: `train.lr: [1e-3, 5e-3]`.

Each value makes its own row of the table. A value of a method, head or training becomes part of the
method's name, `lora-lr=0.001`; one of the dataset or the backbone part of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from petl.config.overlay import TASK_PARTS, Overlay
from petl.config.study_file import Matrix
from petl.config.suggest import did_you_mean, place_of
from petl.config.task import Task
from petl.config.yamlfile import KeyPath, Source
from petl.errors import UserError, nearest

MAX_TASKS = 200_000
LABELS = {"dataset": "dataset_label", "method": "method_label"}


class Value(NamedTuple):
    """One of the values of a setting; `at`: where the study has it."""

    setting: str
    value: Any
    at: KeyPath

    @property
    def part(self) -> str:
        """The part of a task whose name it changes."""
        part = self.setting.partition(".")[0]
        return "method" if part in ("head", "train", "objective", "generator", "augment") else part


Point = tuple[Value, ...]
"""A value for each setting of the grid; empty without a grid."""


def max_tasks() -> int:
    """A typing mistake, such as a billion folds, must not fill a login node's memory."""
    try:
        return int(os.environ.get("PETL_MAX_TASKS", MAX_TASKS))
    except ValueError:
        raise UserError("PETL_MAX_TASKS: should be a whole number") from None


def points(source: Source, matrix: Matrix) -> list[Point]:
    axes = []
    for setting, values in matrix.settings.items():
        key: KeyPath = ("matrix", setting)
        given = isinstance(source.data["matrix"][setting], list)
        axis = [Value(setting, v, (*key, i) if given else key) for i, v in enumerate(values)]
        _refuse(source, axis)
        axes.append(axis)
    return list(product(*axes))


def _refuse(source: Source, axis: Sequence[Value]) -> None:
    seen = set()
    for setting, value, at in axis:
        flat = value if isinstance(value, list) else [value]
        if any(isinstance(part, list | Mapping) for part in flat):
            where, part = source.where(at), Value(setting, value, at).part
            raise UserError(
                f"{where}: {setting}: a mapping has no short name; make a preset for each under "
                f"`{part}s:` and list those in the matrix"
            )
        if text(value) in seen:
            raise UserError(f"{source.where(at)}: {setting}: {text(value)} is given twice")
        seen.add(text(value))


def put(point: Point, source: Source, tree: Overlay) -> None:
    """Over everything else: what a run is named after is what it trains with."""
    for setting, value, at in point:
        tree.put(tuple(setting.split(".")), value, source, at)


def named(names: Mapping[str, str], point: Point) -> dict[str, str]:
    """The names of a task, with the values in them."""
    named = dict(names)
    settings = [value.setting for value in point]
    for value in point:
        named[value.part] += name_piece(value.setting, value.value, settings)
        if label := LABELS.get(value.part):
            named[label] += label_piece(value.setting, value.value, settings)
    return named


def name_piece(setting: str, value: Any, settings: Iterable[str]) -> str:
    return f"-{short(setting, settings)}={text(value)}"


def label_piece(setting: str, value: Any, settings: Iterable[str]) -> str:
    """Of a dataset, the name is the head above columns of values."""
    between = " · " if setting.startswith("dataset.") else ", "
    return f"{between}{short(setting, settings)} {text(value)}"


def short(setting: str, settings: Iterable[str]) -> str:
    """`lr` for `train.lr`, and the whole where another setting of the grid ends alike."""
    last = setting.rpartition(".")[2]
    alike = [other for other in settings if other.rpartition(".")[2] == last]
    return setting if alike[1:] else last


def text(value: Any) -> str:
    """As YAML has it, without quotes, and a list with `+`: it is part of a name."""
    if isinstance(value, list | tuple):
        return "+".join(map(text, value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def method_named(method: str, point: Point) -> str:
    """The name of a method alone."""
    parts = dict.fromkeys(("dataset", "backbone", *LABELS.values()), "")
    return named(parts | {"method": method}, point)["method"]


def refuse_same(source: Source, first: Task, task: Task) -> None:
    """Two names for one run: `lora-64` and `lora` with a reduction of 64."""
    names = [f"{one.names.dataset}, {one.names.method}" for one in (first, task)]
    if first is not task:
        same = "have the same settings, so they would be one run; leave one of them out"
        raise UserError(f"{source.where(('matrix',))}: {names[0]} and {names[1]} {same}")


def refuse_unknown(source: Source) -> None:
    """A key of the matrix that is neither a part of a task nor `part.setting`."""
    matrix = source.data.get("matrix")
    if not isinstance(matrix, Mapping):
        return
    known = [name for name in Matrix.model_fields if name != "settings"]
    for key in matrix:
        part, dot, rest = key.partition(".")
        if key in known or (dot and part in TASK_PARTS):
            continue
        if dot:
            near = nearest(key, [f"{part}.{rest}" for part in TASK_PARTS])
        elif isinstance(matrix[key], Mapping):
            near = f"; write each setting as a key of the matrix, `{key}.SETTING: [...]`"
        elif (near := nearest(key, known)) and (place := place_of(key, Task, {})):
            near = did_you_mean(key, place)
        raise UserError(f"{source.where(('matrix', key))}: unknown key 'matrix.{key}'{near}")

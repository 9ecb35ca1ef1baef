"""A study: a YAML file, or a mapping, that becomes an ordered list of tasks.

The settings of a task are merged from these, later ones over earlier ones:

    defaults < profile < `objective`, `generator`, `augment` < dataset preset < backbone preset
             < method preset < `set` < `when` rules
             < the values of the matrix, `train.lr: [1e-3, 5e-3]`

The presets are in experiments/presets.yaml, and a study may add its own. Every value remembers the
file and line that set it, so that a mistake is reported where it was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from petl.config import grid
from petl.config.generators import OF_TASK, Generators
from petl.config.locate import EXPERIMENTS as EXPERIMENTS
from petl.config.locate import find_study
from petl.config.overlay import Fragment, Overlay, value_at
from petl.config.profiles import fill_from_profile
from petl.config.shorthands import (
    fit_kernels,
    leave_out_labels,
    leave_out_masks,
    replace_masks,
    with_its_source,
)
from petl.config.study_file import (
    Match,
    PresetFile,
    Report,
    StudyFile,
    TaskMatch,
    Tree,
    report_of,
)
from petl.config.task import STUDY_NAME, Task, Weights
from petl.config.validate import validate
from petl.config.yamlfile import KeyPath, Source, YamlFile, read_yaml
from petl.errors import UserError, nearest

PRESETS = EXPERIMENTS / "presets.yaml"

MAX_LIKE = 50


@dataclass(frozen=True)
class Study:
    name: str
    path: Path
    """Its file; of a study without one, the name that the file would have."""
    description: str
    report: Report
    tasks: list[Task]
    notes: tuple[str, ...] = ()
    """What was chosen for the user, a line for each choice."""
    grid: tuple[str, ...] = ()
    """The settings that have several values in the matrix."""
    generators: Mapping[str, Path] = field(default_factory=dict)
    """The studies of the generators whose clips its runs train on, by the generators' run ids."""


def load_study(name: str | Path) -> Study:
    """By its file, or by its name: `birds` is birds.yaml here, or else experiments/birds.yaml."""
    source = read_yaml(find_study(name))
    return _study(source, source.path)


def study_of(mapping: Mapping[str, Any], name: str) -> Study:
    """A study without a file. The mapping is what the file would contain."""
    return _study(Source(name, dict(mapping)), Path(f"{name}.yaml"))


def expand(mapping: Mapping[str, Any], name: str) -> list[Task]:
    """The tasks of a study without a file; an error names the key instead of a line."""
    return study_of(mapping, name).tasks


def _study(source: Source, path: Path) -> Study:
    if not re.fullmatch(STUDY_NAME, source.name):
        raise UserError(
            f"{path}: a study's name becomes a folder and part of its jobs' names: use letters, "
            "digits, spaces and . _ + = , - and begin with a letter or a digit"
        )
    grid.refuse_unknown(source)
    file = validate(StudyFile, source.data, source.where)
    expansion = _Expansion(source, file)
    tasks = list(expansion.tasks())
    if not tasks:
        raise UserError(f"{source.where(('matrix',))}: 'only' and 'except' exclude every task")
    notes, settings = tuple(dict.fromkeys(expansion.notes)), tuple(file.matrix.settings)
    about = (source.name, path, file.description, report_of(file))
    return Study(*about, tasks, notes, settings, expansion.generators.studies)


def _generators(file: Path, method: str) -> list[Task]:
    """Of a study, the generators that are called so: their presets, with values of its grid."""
    source = read_yaml(file)
    grid.refuse_unknown(source)
    expansion = _Expansion(source, validate(StudyFile, source.data, source.where))
    if tasks := list(expansion.tasks(method)):
        return tasks
    raise UserError(f"{file} has no method '{method}'{nearest(method, expansion.methods)}")


class _Expansion:
    """One study's combinations, resolved and validated once per (dataset, backbone, method)."""

    def __init__(self, source: Source, file: StudyFile):
        self.source, self.file = source, file
        self.notes: list[str] = []
        self.methods: list[str] = []
        own = source.path if isinstance(source, YamlFile) else None
        self.generators = Generators(_generators, own)
        self.presets = read_yaml(PRESETS)
        validate(PresetFile, self.presets.data, self.presets.where)
        self._check_matches()

    def tasks(self, generator: str | None = None) -> Iterator[Task]:
        """All, or those of the method with this name, which must be a generator."""
        matrix, most = self.file.matrix, grid.max_tasks()
        parts = (matrix.dataset, matrix.backbone, matrix.method)
        combinations = prod(map(len, (*parts, *matrix.settings.values())))
        self._check_size(combinations, most // 100, "combinations of datasets, methods, ...")
        points = grid.points(self.source, matrix)
        tasks, seen = 0, dict[str, Task]()
        for dataset, backbone, method, point in product(*parts, points):
            self.methods.append(grid.method_named(method, point))
            if generator not in (None, self.methods[-1]):
                continue
            first, generator_at = self._resolve(dataset, backbone, method, point)
            if generator is not None and first.generator is None:
                raise UserError(f"'{generator}' of study '{self.source.name}' is no generator")
            if matrix.settings:
                grid.refuse_same(self.source, seen.setdefault(first.run_id, first), first)
            folds = range(first.dataset.folds) if matrix.fold == "all" else matrix.fold
            tasks += len(matrix.seed) * len(folds)
            self._check_size(tasks, most, "tasks")
            for seed, fold in product(matrix.seed, folds):
                if self._wanted(dataset, backbone, method, fold, seed):
                    self._check_fold(first, fold)
                    own: Tree = {"fold": fold, "seed": seed, "weights": self._weights(first)}
                    own |= with_its_source(first, fold, seed)
                    own |= self.generators.augmented(first, fold, seed, generator_at)
                    yield first.model_copy(update=own)

    def _check_size(self, number: int, most: int, what: str) -> None:
        if number > most:
            at = self.source.where(("matrix",))
            raise UserError(
                f"{at}: {number:,} {what}, and at most {most:,} are expanded; "
                f"set PETL_MAX_TASKS to more than {grid.max_tasks():,}, or split the study"
            )

    def _weights(self, task: Task) -> Weights:
        """If any are kept, those that the study reports; a pre-training or a generator is for
        its weights."""
        if self.file.keep_weights is False:
            return "none"
        if task.objective is not None or task.generator is not None:
            return "best"
        if report_of(self.file) == "test_last":
            return "last" if self.file.keep_weights else "last-if-small"
        return "best" if self.file.keep_weights else "best-if-small"

    def _check_fold(self, task: Task, fold: int) -> None:
        if fold >= task.dataset.folds:
            last = task.dataset.folds - 1
            have = f"folds 0-{last}" if last else "only fold 0"
            at = self.source.where(("matrix", "fold"))
            raise UserError(f"{at}: there is no fold {fold}: {task.names.dataset} has {have}")

    def _resolve(
        self, dataset: str, backbone: str, method: str, point: grid.Point
    ) -> tuple[Task, str]:
        """And the line that names the generator whose clips it trains on."""
        fragments: list[Fragment] = [(self.source, ())]
        labels = {}
        for kind, name in (("dataset", dataset), ("backbone", backbone), ("method", method)):
            chain = self._preset_chain(f"{kind}s", name)
            labels[kind] = _label(chain) or name
            fragments += chain
        fragments.append((self.source, ("set",)))
        for i, rule in enumerate(self.file.when):
            if rule.covers(dataset=dataset, backbone=backbone, method=method):
                fragments.append((self.source, ("when", i, "set")))

        # which of the profile's switches apply depends on the method that the fragments choose
        tree = Overlay(fragments)
        tree.data = deepcopy(tree.data)  # lists are still those of the presets
        grid.put(point, self.source, tree)
        replace_masks(tree)
        leave_out_labels(tree)
        leave_out_masks(tree)
        self._fit_kernel(tree, dataset, method)
        ours = (key for file, key in fragments if file is self.presets)
        like = [str(key[1]) for key in ours if key[0] in ("datasets", "methods")]
        fill_from_profile(tree, self.presets, self.file.profile, like)
        names = {
            "study": self.source.name,
            "dataset": dataset,
            "backbone": backbone,
            "method": method,
            "dataset_label": labels["dataset"],
            "method_label": labels["method"],
        }
        tree.data["names"] = grid.named(names, point)
        tree.data |= {"fold": 0, "seed": 0}
        at = self.source.where(self._matrix_key("method", method))
        combination = f"{at}: {dataset}, {backbone}, {method}"
        task = validate(Task, tree.data, lambda key: tree.where(key) or combination)
        return task, tree.where(OF_TASK) or combination

    def _fit_kernel(self, tree: Overlay, dataset: str, method: str) -> None:
        """A conformer's kernel suits the kind of sound, unless the study sets it itself."""
        chain = [value_at(file.data, key) for file, key in self._preset_chain("datasets", dataset)]
        sound = next((one["sound"] for one in reversed(chain) if one.get("sound")), None)
        if kernel := fit_kernels(tree, sound, self.presets):
            self.notes.append(f"{method} on {dataset}: kernel {kernel}, for `sound: {sound}`")

    def _preset_chain(self, kind: str, name: str) -> list[Fragment]:
        """The preset and those it is `like`, the most general first."""
        chain: list[Fragment] = []
        names: list[str] = []
        wanted_at = self.source.where(self._matrix_key(kind[:-1], name))
        wanted: str | None = name
        while wanted is not None:
            if wanted in names:
                circle = " -> ".join([*names, wanted])
                raise UserError(f"{wanted_at}: {kind[:-1]} '{wanted}' is `like` itself: {circle}")
            file = self._preset_file(kind, wanted, wanted_at)
            chain.insert(0, (file, (kind, wanted)))
            names.append(wanted)
            if len(names) > MAX_LIKE:
                raise UserError(f"{wanted_at}: over {MAX_LIKE} presets, each `like` the next")
            wanted_at = file.where((kind, wanted, "like"))
            wanted = file.data[kind][wanted].get("like")
        return chain

    def _preset_file(self, kind: str, name: str, wanted_at: str) -> Source:
        """A study's own preset takes precedence over the suite's of the same name."""
        for file in (self.source, self.presets):
            if name in file.data.get(kind, {}):
                return file
        known = {*self.source.data.get(kind, {}), *self.presets.data[kind]}
        raise UserError(f"{wanted_at}: unknown {kind[:-1]} '{name}'{nearest(name, known)}")

    def _matrix_key(self, kind: str, name: str) -> KeyPath:
        """Where the matrix names it: each item of a list has a line of its own."""
        given = self.source.data["matrix"][kind]
        return ("matrix", kind, given.index(name)) if isinstance(given, list) else ("matrix", kind)

    def _wanted(self, dataset: str, backbone: str, method: str, fold: int, seed: int) -> bool:
        def asked_for(match: TaskMatch) -> bool:
            names = {"dataset": dataset, "backbone": backbone, "method": method}
            return match.covers(**names, fold=fold, seed=seed)

        if self.file.only and not any(map(asked_for, self.file.only)):
            return False
        return not any(map(asked_for, self.file.except_))

    def _check_matches(self) -> None:
        """Refuse a rule that names what the matrix does not have: it would never apply."""
        sections: dict[str, Sequence[Match]] = {
            "when": self.file.when,
            "only": self.file.only,
            "except": self.file.except_,
        }
        rules = ((name, i, rule) for name in sections for i, rule in enumerate(sections[name]))
        for (section, i, rule), kind in product(rules, ("dataset", "backbone", "method")):
            have = getattr(self.file.matrix, kind)
            for pattern in getattr(rule, kind) or []:
                if not any(fnmatchcase(name, pattern) for name in have):
                    at = self.source.where((section, i, kind))
                    raise UserError(
                        f"{at}: {section}: '{pattern}' matches no {kind} of the matrix"
                        f"{nearest(pattern, have)}"
                    )


def _label(chain: Sequence[Fragment]) -> str | None:
    """The preset's own label; one that it is `like` is another row of the table."""
    file, key = chain[-1]
    label = value_at(file.data, key).get("label")
    return str(label) if label is not None else None

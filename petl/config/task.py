"""A Task: everything that can change the numbers of one run, and nothing else.

Every field is typed and required. Where the released code and the paper's text differ, the value
comes from a profile in experiments/presets.yaml, never from a default hidden here. `extra="forbid"`
refuses a misspelt key, `strict` refuses "False" for a boolean and "128" for a number.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from petl.config import fits
from petl.config.augment import Augment
from petl.config.backbone import Backbone
from petl.config.base import Seed, Settings
from petl.config.dataset import Dataset
from petl.config.generator import Generator
from petl.config.head import HeadSettings
from petl.config.kinds import SPECTROGRAMS, Kind
from petl.config.methods.base import Method
from petl.config.objective import Objective
from petl.config.train import Train

STUDY_NAME = r"[A-Za-z0-9][\w .+=,-]*"
"""It becomes a folder beside others: no slash, no `..`, nothing that a shell or Slurm expands."""


Weights = Literal["none", "last", "best", "last-if-small", "best-if-small"]
"""The trained weights that a run keeps: of its last or best epoch; small is under SMALL_MB."""
SMALL_MB = 20


class Names(Settings):
    """What people call the parts: the row and column of a table. Not part of the run id."""

    study: Annotated[str, Field(pattern=f"^{STUDY_NAME}$")]
    dataset: str
    backbone: str
    method: str
    dataset_label: str
    method_label: str


class Task(Settings):
    """One run, fully resolved."""

    names: Names
    dataset: Dataset
    backbone: Backbone
    method: Method
    train: Train
    head: HeadSettings = HeadSettings()
    fold: Annotated[int, Field(ge=0)]
    seed: Seed
    objective: Objective | None = None
    """Of a pre-training without labels."""
    generator: Generator | None = None
    """What makes spectrograms; then `backbone` measures them and trains nothing."""
    augment: Augment | None = None
    """Clips of a generator among those that train."""
    weights: Weights = "none"
    """Which trained weights the run keeps. Changes no number, so it is not part of the run id."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Task:
        fits.check(self)
        return self

    @property
    def kind(self) -> Kind:
        """What the task makes: answers of the dataset's kind, or spectrograms."""
        return self.dataset.kind if self.generator is None else SPECTROGRAMS

    @property
    def best_by(self) -> str:
        """The metric that chooses the best epoch."""
        return self.train.best_by or self.kind.headline

    @property
    def run_id(self) -> str:
        """16 hex digits of a hash over everything that can change the numbers.

        A setting at its default is left out, so an option added later changes no older id.
        """
        settings = {**_canonical(self), "fold": str(self.fold), "seed": str(self.seed)}
        if self.augment is not None:
            settings["augment"] = _text(self.augment.model_dump(mode="json", exclude_defaults=True))
        canonical = ",".join([f'"{name}":{settings[name]}' for name in sorted(settings)])
        return hashlib.sha256(f"{{{canonical}}}".encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def __str__(self) -> str:
        names = self.names
        return f"{names.dataset} · {names.method} · fold {self.fold} · seed {self.seed}"


_NOT_SHARED = ("names", "weights", "augment", "fold", "seed")
_SHARED = tuple(name for name in Task.model_fields if name not in _NOT_SHARED)
_known: dict[tuple[int, ...], tuple[tuple[Any, ...], dict[str, str]]] = {}
_MOST_KNOWN = 10_000


def _canonical(task: Task) -> dict[str, str]:
    """Canonical JSON of all parts but those that differ by fold and seed.

    The thousands of tasks of a study share a few immutable objects, so the text is cached by their
    `id()`. The cache holds the objects too: Python reuses the id of an object that is gone.
    """
    shared = tuple([getattr(task, name) for name in _SHARED])
    key = tuple(map(id, shared))
    if key not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        settings = task.model_dump(mode="json", exclude={*_NOT_SHARED}, exclude_defaults=True)
        text = {name: _text(part) for name, part in settings.items()}
        _known[key] = shared, text
    return _known[key][1]


def _text(part: Any) -> str:
    return json.dumps(part, sort_keys=True, separators=(",", ":"))

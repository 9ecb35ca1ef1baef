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

from petl.config.augment import Augment
from petl.config.backbone import Backbone
from petl.config.base import Seed, Settings
from petl.config.dataset import NEEDS, Dataset
from petl.config.generator import Generator
from petl.config.head import HeadSettings
from petl.config.kinds import NO_LABELS, NUMBERS, SEVERAL_LABELS, SPECTROGRAMS, Kind
from petl.config.methods.base import Method
from petl.config.objective import Objective, Reconstruct
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
        if self.fold >= self.dataset.folds:
            have = f"folds 0-{self.dataset.folds - 1}" if self.dataset.folds > 1 else "only fold 0"
            raise ValueError(f"fold {self.fold}: {self.dataset.corpus} has {have}")
        if "prompts" in self.backbone.pooling and not self.method.prompt_length:
            raise ValueError(
                f"backbone.pooling '{self.backbone.pooling}' needs a prompt method, "
                f"not '{self.method.family}'"
            )
        if self.backbone.pooling == "cls+dist" and (
            self.backbone.family != "ast" or self.method.prompt_length
        ):
            raise ValueError(
                "backbone.pooling 'cls+dist' needs a distillation token: only the AST has one, "
                "and prompts replace it"
            )
        if self.backbone.family == "wav2vec2" and self.method.prompt_length:
            raise ValueError("prompts are inserted after the CLS token, and wav2vec 2.0 has none")
        if self.backbone.family == "wav2vec2" and self.dataset.spec_augment is not None:
            raise ValueError(
                "dataset.spec_augment masks spectrograms and wav2vec 2.0 reads waveforms: "
                "set it to null"
            )
        self._head_fits()
        self._front_end_fits()
        self._best_by_fits()
        windows, heard = self.dataset.windows, self.dataset.seconds
        if windows and windows.length > heard + 0.005:
            raise ValueError(
                f"dataset.windows.length is {windows.length:g} s, and a model hears {heard:g} s of "
                "a clip: set dataset.frames so that it hears all of a window"
            )
        kind = self.dataset.kind
        if kind is NUMBERS and self.train.label_smoothing:
            raise ValueError("train.label_smoothing is for classes; a regression has none")
        if kind is SEVERAL_LABELS and self.train.label_smoothing:
            raise ValueError("train.label_smoothing is for clips with one label each")
        if kind is NUMBERS and self.train.sampling == "balanced":
            raise ValueError("train.sampling 'balanced' is for classes; a regression has none")
        weights = self.train.target_weights
        if kind is not NUMBERS and weights is not None:
            raise ValueError("train.target_weights is for the targets of a regression")
        if weights is not None and sorted(weights) != sorted(self.dataset.targets):
            raise ValueError(
                f"train.target_weights has {', '.join(weights) or 'nothing'}; "
                f"the targets are {', '.join(self.dataset.targets)}"
            )
        if kind is not NUMBERS and self.train.loss != "mse":
            raise ValueError(
                f"train.loss '{self.train.loss}' is for a regression; "
                f"a classification minimises {kind.loss}"
            )
        if self.train.micro_batch is not None and self.method.has_batch_norm:
            raise ValueError(
                "train.micro_batch would give a conformer's BatchNorm other statistics; "
                "'layer_checkpointing: on' saves more memory and changes no result"
            )
        return self

    def _head_fits(self) -> None:
        if self.head.output == "sigmoid" and self.dataset.kind is not NUMBERS:
            raise ValueError("head.output 'sigmoid' is for the targets of a regression")
        if self.head.norm == "twice" and self.backbone.family == "wav2vec2":
            raise ValueError("head.norm 'twice': wav2vec 2.0 ends without a LayerNorm")
        if self.head.norm == "twice" and self.backbone.pooling == "cls+dist":
            raise ValueError(
                "head.norm 'twice': backbone.pooling 'cls+dist' has a second LayerNorm of its own"
            )
        if self.head.pooling == "attentive" and "cls" in self.backbone.pooling:
            raise ValueError(
                f"head.pooling 'attentive' needs the tokens of the clip, and backbone.pooling "
                f"'{self.backbone.pooling}' leaves them out: choose 'all' or 'speech'"
            )
        if self.head.trained:
            return
        if self.head.pooling == "attentive":
            raise ValueError("head.pooling 'attentive' is for a head that trains")
        if self.method.family == "head":
            raise ValueError("head.trained is false, and method 'head' trains nothing else")
        for name, value in (("head_lr", self.train.head_lr), ("head_first", self.train.head_first)):
            if value:
                raise ValueError(f"train.{name} is for a head that trains: head.trained is false")

    @model_validator(mode="after")
    def _labels_or_an_objective(self) -> Task:
        objective, dataset = self.objective, self.dataset
        if objective is None:
            if dataset.kind is NO_LABELS:
                raise ValueError(f"{NEEDS}, or an 'objective' to pre-train without labels")
            return self
        others = {
            "'classes' and 'targets'": dataset.kind is not NO_LABELS,
            "dataset.few_shot": dataset.few_shot is not None,
            "dataset.front_end": dataset.front_end.kind != "ast",
            "'augment'": self.augment is not None,
        }
        self._refuse_beside("an 'objective'", others | self._of_answers())
        if self.backbone.family != "ast":
            raise ValueError(f"an 'objective' needs an AST, not '{self.backbone.family}'")
        if self.method.family != "full":
            raise ValueError(
                f"an 'objective' trains the whole encoder: use 'method: full', not "
                f"'{self.method.family}'"
            )
        if isinstance(objective, Reconstruct) and objective.time > dataset.frames:
            raise ValueError(
                f"objective.time: a stretch of {objective.time} frames is longer than a clip's "
                f"{dataset.frames}"
            )
        return self

    @model_validator(mode="after")
    def _fits_a_generator(self) -> Task:
        if self.generator is None:
            return self
        dataset, train = self.dataset, self.train
        others = {
            "an 'objective'": self.objective is not None,
            "'augment'": self.augment is not None,
            "dataset.front_end 'image'": dataset.front_end.is_image,
            "train.best_by": train.best_by is not None,
            "train.patience": train.patience is not None,
            "train.later_batches": bool(train.later_batches),
            "train.layer_checkpointing": train.layer_checkpointing == "on",
            "train.frozen": train.frozen == "cached",
            "train.precision": train.precision != "float32",
            "train.head_lr": train.head_lr is not None,
        }
        self._refuse_beside("a 'generator'", others | self._of_answers())
        if self.backbone.form == "waveform":
            raise ValueError("a 'generator' makes spectrograms, and wav2vec 2.0 reads waveforms")
        if self.method.family != "full":
            raise ValueError(
                f"a 'generator' trains all of its own weights: use 'method: full', not "
                f"'{self.method.family}'"
            )
        return self

    def _of_answers(self) -> dict[str, bool]:
        """What only a model that answers has, and whether it is set."""
        dataset, train = self.dataset, self.train
        return {
            "dataset.spec_augment": dataset.spec_augment is not None,
            "head": self.head != HeadSettings(),
            "train.mixup": train.mixup is not None,
            "train.sampling 'balanced'": train.sampling == "balanced",
            "train.label_smoothing": train.label_smoothing > 0,
            "train.head_first": train.head_first > 0,
        }

    def _refuse_beside(self, what: str, others: dict[str, bool]) -> None:
        for setting, is_set in others.items():
            if is_set:
                raise ValueError(f"{setting} cannot be combined with {what}; leave it out")

    def _front_end_fits(self) -> None:
        front_end, family = self.dataset.front_end, self.backbone.family
        if front_end.kind != "ast" and family == "wav2vec2":
            raise ValueError(
                f"dataset.front_end '{front_end.kind}' makes spectrograms and wav2vec 2.0 reads "
                "waveforms: leave it out"
            )
        if front_end.is_image and family == "ast":
            raise ValueError(
                "dataset.front_end 'image' makes pictures for a ViT; the AST reads 'ast' and 'mel'"
            )

    def _best_by_fits(self) -> None:
        wanted, have = self.train.best_by, list(self.dataset.kind.metrics)
        if self.dataset.kind is NUMBERS:
            targets = self.dataset.targets
            have += [f"{name}_{target}" for name in have if name != "loss" for target in targets]
        if wanted is not None and wanted not in have:
            raise ValueError(f"train.best_by '{wanted}': this task has {', '.join(have)}")

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
        canonical = ",".join([f'"{name}":{settings[name]}' for name in sorted(settings)])
        return hashlib.sha256(f"{{{canonical}}}".encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def __str__(self) -> str:
        names = self.names
        return f"{names.dataset} · {names.method} · fold {self.fold} · seed {self.seed}"


_NOT_SHARED = ("names", "weights", "fold", "seed")
_SHARED = tuple(name for name in Task.model_fields if name not in _NOT_SHARED)
_known: dict[tuple[int, ...], tuple[tuple[Any, ...], dict[str, str]]] = {}
_MOST_KNOWN = 10_000


def _canonical(task: Task) -> dict[str, str]:
    """Canonical JSON of all parts but fold and seed.

    The thousands of tasks of a study share a few immutable objects, so the text is cached by their
    `id()`. The cache holds the objects too: Python reuses the id of an object that is gone.
    """
    shared = tuple([getattr(task, name) for name in _SHARED])
    key = tuple(map(id, shared))
    if key not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        settings = task.model_dump(mode="json", exclude={*_NOT_SHARED}, exclude_defaults=True)
        text = {
            name: json.dumps(part, sort_keys=True, separators=(",", ":"))
            for name, part in settings.items()
        }
        _known[key] = shared, text
    return _known[key][1]

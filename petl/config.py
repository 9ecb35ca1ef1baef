"""The vocabulary of the suite: a Task says everything that can change a run's numbers, and nothing else.

Every field is typed and required; a value that depends on whom you follow, the released code or the
paper's text, comes from a profile in experiments/presets.yaml, never from a default hidden here.
`extra="forbid"` refuses a misspelt key, `strict` refuses "False" for a bool and "128" for a number.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# --- data ------------------------------------------------------------------------------------------


class Statistics(Part):
    """Spectrograms become (x - mean) / (2 std), as the AST was pre-trained."""

    mean: Finite
    std: Rate


class SpecAugment(Part):
    """One band of mel bins and one stretch of frames are blanked in each training spectrogram."""

    frequency: Annotated[int, Field(ge=0)]
    time: Annotated[int, Field(ge=0)]
    mask: Literal["after-normalisation", "before-normalisation"]


class Dataset(Part):
    """Which clips, in which published folder layout, cut to how many frames, split how."""

    corpus: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    layout: Literal["esc50", "urbansound8k", "speech-commands", "fluent-speech-commands"]
    classes: Annotated[int, Field(ge=2)]
    folds: Count
    frames: Annotated[int, Field(ge=16)]
    split: Literal["paper", "ast-recipe"]
    statistics: Statistics | Literal["training-split"]
    spec_augment: SpecAugment | None


# --- backbone --------------------------------------------------------------------------------------


class Backbone(Part):
    """`source` is a Hugging Face name, a folder, or `builtin:small`, the one that comes along."""

    family: Literal["ast"]
    source: Annotated[str, Field(min_length=1)]
    position_embeddings: Literal["zeros", "interpolate", "crop"]
    pooling: Literal["all", "cls", "prompts", "speech", "prompts+speech"]


# --- methods ---------------------------------------------------------------------------------------


class Full(Part):
    family: Literal["full"]


class Linear(Part):
    family: Literal["linear"]


class BitFit(Part):
    family: Literal["bitfit"]


class LoRA(Part):
    """`rank` is hidden size / reduction, as the paper's code counts it."""

    family: Literal["lora"]
    reduction: Count
    targets: Annotated[tuple[Literal["q", "k", "v", "o"], ...], Field(strict=False, min_length=1)]
    scale: Rate
    init: Literal["normal", "zero-up"]


class Bottleneck(Part):
    kind: Literal["bottleneck"]
    reduction: Count
    init: Literal["normal", "zero-up"]


class Conformer(Part):
    kind: Literal["conformer"]
    reduction: Count
    kernel: Count
    layer_norm: Literal["ignored", "applied"]
    init: Literal["default", "zero-up"]


class Adapter(Part):
    family: Literal["adapter"]
    block: Annotated[Bottleneck | Conformer, Field(discriminator="kind")]
    placement: Literal["pfeiffer", "houlsby"]
    composition: Literal["parallel", "sequential"]
    residual: bool


class Prompt(Part):
    family: Literal["prompt"]
    depth: Literal["shallow", "deep"]
    length: Count


class Prefix(Part):
    """`length` counts keys and values together, as the paper does: 24 is 12 + 12."""

    family: Literal["prefix"]
    length: Annotated[int, Field(ge=2, multiple_of=2)]


Method = Annotated[
    Full | Linear | BitFit | LoRA | Adapter | Prompt | Prefix, Field(discriminator="family")
]


# --- training --------------------------------------------------------------------------------------


class Train(Part):
    """AdamW with a cosine to zero over every step."""

    epochs: Count
    batch_size: Count
    lr: Rate
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
        Field(strict=False),
    ]
    eps: Rate
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    decay: Literal["everything", "weights"]


# --- the task --------------------------------------------------------------------------------------


class Names(Part):
    """What people call the parts: row and column of a table. Not part of the run's identity."""

    study: str
    dataset: str
    backbone: str
    method: str
    dataset_label: str
    method_label: str


class Task(Part):
    """One run, fully resolved."""

    names: Names
    dataset: Dataset
    backbone: Backbone
    method: Method
    train: Train
    fold: Annotated[int, Field(ge=0)]
    seed: Seed

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Task:
        if self.fold >= self.dataset.folds:
            have = f"folds 0-{self.dataset.folds - 1}" if self.dataset.folds > 1 else "only fold 0"
            raise ValueError(f"fold {self.fold}: {self.dataset.corpus} has {have}")
        if self.dataset.split == "ast-recipe" and self.dataset.layout != "esc50":
            raise ValueError("dataset.split 'ast-recipe' is ESC-50's; this layout has only 'paper'")
        if "prompts" in self.backbone.pooling and self.method.family != "prompt":
            raise ValueError(
                f"backbone.pooling '{self.backbone.pooling}' needs a prompt method, "
                f"not '{self.method.family}'"
            )
        return self

    @property
    def run_id(self) -> str:
        """16 hex digits over everything that can change the numbers: the same task, the same id.

        A setting at its default is left out, so that an option added later changes no older id.
        """
        settings = self.model_dump(mode="json", exclude={"names"}, exclude_defaults=True)
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def __str__(self) -> str:
        names = self.names
        return f"{names.dataset} · {names.method} · fold {self.fold} · seed {self.seed}"

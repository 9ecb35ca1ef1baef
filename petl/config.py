"""The vocabulary of the suite: a Task says what can change a run's numbers, and nothing else.

Every field is typed and required; a value that depends on whom you follow, the released code or the
paper's text, comes from a profile in experiments/presets.yaml, never from a default hidden here.
`extra="forbid"` refuses a misspelt key, `strict` refuses "False" for a bool and "128" for a number.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

# all of them, so that the rest of the suite says config.LoRA
from petl.method_config import (  # noqa: F401
    IA3,
    SSF,
    Adapter,
    Added,
    BitFit,
    Bottleneck,
    Combine,
    Conformer,
    Convpass,
    DenseMoA,
    DoRA,
    Full,
    Gated,
    Gradual,
    Head,
    LayerChoice,
    Linear,
    LoRA,
    LowRank,
    Method,
    Mixture,
    Placement,
    Prefix,
    Prompt,
    SoftMoA,
    parts,
    prompt_length,
)
from petl.part import Count, Finite, Part, Rate, Seed

# --- data -----------------------------------------------------------------------------------------


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


# --- backbone -------------------------------------------------------------------------------------

Source = Annotated[str, Field(min_length=1)]
"""A Hugging Face name, a folder, or `builtin:small`, the one that comes along."""


class Patches(Part):
    """Backbones that read a spectrogram in patches, behind a CLS token."""

    source: Source
    position_embeddings: Literal["zeros", "interpolate", "crop"]
    pooling: Literal["all", "cls", "prompts", "speech", "prompts+speech"]


class AST(Patches):
    family: Literal["ast"]


class ViT(Patches):
    family: Literal["vit"]


class Wav2Vec2(Part):
    """It reads waveforms, has no special token and is pooled over time.

    `dropout: checkpoint` lets the checkpoint's dropouts and skipped layers act while training, also
    in frozen layers.
    """

    pooling: ClassVar[str] = "all"

    family: Literal["wav2vec2"]
    source: Source
    dropout: Literal["checkpoint", "none"]


Backbone = Annotated[AST | ViT | Wav2Vec2, Field(discriminator="family")]


# --- training -------------------------------------------------------------------------------------


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
    # less memory for more time and the same numbers, so that it has a default, whomever one follows
    layer_checkpointing: Literal["off", "on"] = "off"


# --- the task -------------------------------------------------------------------------------------


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
        if "prompts" in self.backbone.pooling and not prompt_length(self.method):
            raise ValueError(
                f"backbone.pooling '{self.backbone.pooling}' needs a prompt method, "
                f"not '{self.method.family}'"
            )
        if self.backbone.family == "wav2vec2" and prompt_length(self.method):
            raise ValueError("prompts stand behind CLS, which wav2vec 2.0 does not have")
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

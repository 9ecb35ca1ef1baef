"""Settings of the pre-trained encoder: which checkpoint, and how its tokens become one vector."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from petl.config.base import Count, Settings
from petl.config.dataset import Form

Source = Annotated[str, Field(min_length=1)]
"""A Hugging Face name, a folder, a file, `builtin:small`, the checkpoint inside petl, or `new`.

In a folder's name, `{dataset}`, `{fold}` and `{seed}` stand for those of the run.
"""
NEW = "new"
"""No checkpoint: an encoder with random weights."""


class Stride(Settings):
    """The distance of patches, in mel bins and in frames; below the patch size they overlap."""

    frequency: Count
    time: Count


class Shape(Settings):
    """The shape of a new encoder; patches that are as far apart as they are wide do not overlap."""

    hidden: Count
    layers: Count
    heads: Count
    mlp: Count
    patch: Count = 16
    frequency_stride: Count = 16
    time_stride: Count = 16

    @model_validator(mode="after")
    def _heads_divide(self) -> Shape:
        if self.hidden % self.heads:
            raise ValueError(f"backbone.shape: {self.heads} heads do not divide {self.hidden}")
        return self


class Patches(Settings):
    """Backbones that read a spectrogram in patches, after a CLS token.

    `pooling: cls+dist` is what the library's own AST classifier does: the mean of CLS and DIST,
    normalised once more. A run with it can be exported as such a classifier (`petl export`).

    `stride` is by default the checkpoint's. With another one, `position_embeddings` are fitted to
    the new grid of patches, as for clips of another length.
    """

    form: ClassVar[Form] = "spectrogram"

    source: Source
    position_embeddings: Literal["zeros", "interpolate", "crop"]
    pooling: Literal["all", "cls", "cls+dist", "prompts", "speech", "prompts+speech"]
    stride: Stride | None = None


class AST(Patches):
    family: Literal["ast"]
    shape: Shape | None = None
    """Of a new encoder, with `source: new`: its weights are drawn by the seed and the fold."""

    @model_validator(mode="after")
    def _new_has_a_shape(self) -> AST:
        if (self.source == NEW) != (self.shape is not None):
            raise ValueError("backbone.shape and 'source: new' go together: set both or neither")
        if self.shape is not None and self.stride is not None:
            raise ValueError(
                "backbone.stride changes a checkpoint's; a new encoder has "
                "backbone.shape.frequency_stride and time_stride"
            )
        return self


class ViT(Patches):
    family: Literal["vit"]


class Wav2Vec2(Settings):
    """Reads waveforms, has no special token and is pooled over time.

    `dropout: checkpoint` keeps the checkpoint's dropout and LayerDrop active during training, in
    frozen layers too.
    """

    form: ClassVar[Form] = "waveform"
    pooling: ClassVar[str] = "all"

    family: Literal["wav2vec2"]
    source: Source
    dropout: Literal["checkpoint", "none"]


Backbone = Annotated[AST | ViT | Wav2Vec2, Field(discriminator="family")]

"""Settings of the pre-trained encoder: which checkpoint, and how its tokens become one vector."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from petl.config.base import Count, Settings
from petl.config.dataset import Form

Source = Annotated[str, Field(min_length=1)]
"""A Hugging Face name, a folder, a file, or `builtin:small`, the checkpoint inside petl."""


class Stride(Settings):
    """The distance of patches, in mel bins and in frames; below the patch size they overlap."""

    frequency: Count
    time: Count


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

"""Settings of a pre-training without labels: what a model learns from the sounds alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from petl.config.base import Count, Settings
from petl.config.front_end import BINS


class Reconstruct(Settings):
    """The model gives back whole spectrograms in which a stretch of frames and a band are 0.

    `target` is what the error is averaged over: all frames, or those that hold sound.
    """

    kind: Literal["reconstruct"]
    time: Annotated[int, Field(ge=0)] = 80
    """The stretch is shorter than this many frames."""
    frequency: Annotated[int, Field(ge=0, le=BINS)] = 30
    """The band is narrower than this many mel bins."""
    target: Literal["all", "sound"]


class MaskedPatches(Settings):
    """A masked autoencoder: the encoder sees some patches, a decoder gives back the others."""

    kind: Literal["masked-patches"]
    hidden: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """The share of the patches that the encoder does not see."""
    decoder_layers: Count = 2


Objective = Annotated[Reconstruct | MaskedPatches, Field(discriminator="kind")]

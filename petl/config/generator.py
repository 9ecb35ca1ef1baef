"""Settings of a generator: what is fitted to a fold's training clips and makes new ones.

The rest of a generator's task is as of any other: `train` has the epochs, the batch size, and the
learning rate and betas of Adam; `backbone` is the frozen encoder that measures the samples.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from petl.config.base import Count, Rate, Settings

Share = Annotated[float, Field(ge=0, lt=1)]


Width = Annotated[int, Field(ge=1, le=512)]
"""Bounded, as the sizes below: somebody else's run folder should not fill a reader's memory."""
Latent = Annotated[int, Field(ge=1, le=4096)]


class _Generator(Settings):
    width: Width
    """Channels of the networks where they are narrowest."""
    average: Share = 0.999
    """How much of the averaged weights, which make the samples, each step keeps."""
    look_every: Count = 5
    """Epochs between two looks at samples: a row of the picture, and a check of their diversity."""


class GAN(_Generator):
    """A convolutional GAN with binary cross-entropy."""

    kind: Literal["gan"]
    width: Width = 32
    latent: Latent = 100
    discriminator_lr: Rate = 1e-4
    band: Share = 0.8
    """The discriminator takes a second step while it is right less often than this, and the
    generator a third while the discriminator is right about real clips more often."""


class R3GAN(_Generator):
    """Relativistic losses, penalties on the gradients at real and made clips, no normalisation."""

    kind: Literal["r3gan"]
    width: Width = 32
    latent: Latent = 64
    gamma: Rate = 100.0
    """The weight of the two penalties. What is right depends on the data and on the size of clips:
    if the discriminator is nearly always right and samples become alike, a larger one helps."""
    penalty_every: Count = 1
    """Steps between two penalties, which are then multiplied by this number."""


class Flow(_Generator):
    """Rectified flow: a network learns the straight way from noise to a clip."""

    kind: Literal["flow"]
    width: Width = 32
    steps: Count = 25
    """Euler steps for a sample."""
    attention: Literal["none", "spatial"] = "none"
    """At the lowest resolution."""


Generator = Annotated[GAN | R3GAN | Flow, Field(discriminator="kind")]

"""Settings of the head: how it reads the encoder's output, and whether it trains."""

from __future__ import annotations

from typing import Literal

from petl.config.base import Settings


class HeadSettings(Settings):
    """The default of each setting leaves a model as it is without this section."""

    norm: Literal["once", "twice"] = "once"
    """twice: the encoder's final LayerNorm is applied to its own output once more."""
    trained: bool = True
    """false: the head keeps the random weights that it starts with."""
    pooling: Literal["mean", "attentive"] = "mean"
    """Of the tokens that `backbone.pooling` chooses. attentive: their mean, weighted by a learned
    query; the query counts as part of the head."""

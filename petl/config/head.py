"""Settings of the head: how it reads the encoder's output, and whether it trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from petl.config.base import Count, Settings


class HeadSettings(Settings):
    """The default of each setting leaves a model as it is without this section."""

    norm: Literal["once", "twice"] = "once"
    """twice: the encoder's final LayerNorm is applied to its own output once more."""
    trained: bool = True
    """false: the head keeps the random weights that it starts with."""
    pooling: Literal["mean", "attentive"] = "mean"
    """Of the tokens that `backbone.pooling` chooses. attentive: their mean, weighted by a learned
    query; the query counts as part of the head."""
    layers: Annotated[tuple[Count, ...], Field(strict=False)] = ()
    """Widths of hidden layers before the last linear map: a LayerNorm, then for each a linear map,
    GELU and dropout."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """After each hidden layer; without hidden layers, of what the linear map reads."""
    output: Literal["linear", "sigmoid"] = "linear"
    """sigmoid: a regression's answers lie between 0 and 1, in the model's unit."""

    @property
    def is_one_map(self) -> bool:
        return not self.layers and self.output == "linear"

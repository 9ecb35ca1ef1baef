"""Methods that add nothing: some of the model's own parameters train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from petl.config.base import Count
from petl.config.methods.base import Combinable, Method


class Full(Combinable):
    """`layers: 3`, the last three, is what the released code calls full on wav2vec 2.0."""

    family: Literal["full"]
    layers: Literal["all"] | Count = "all"
    final_norm: Literal["trained", "frozen"] = "trained"
    """frozen: the last layers train, and the LayerNorm behind them does not."""
    order = 100

    @model_validator(mode="after")
    def _layers_are_counted(self) -> Full:
        if self.final_norm == "frozen" and self.layers == "all":
            raise ValueError("method.final_norm 'frozen' needs 'layers', the number that trains")
        return self

    @property
    def trains_final_norm(self) -> bool:
        return self.final_norm == "trained"

    def conflict(self, others: Sequence[str]) -> str:
        whole = "'full' trains all layers; in a combination, set its 'layers' to a number"
        if self.final_norm == "frozen":
            return "in a combination the final LayerNorm trains; leave out 'final_norm' of 'full'"
        return whole if self.layers == "all" else ""


class BitFit(Combinable):
    """The biases, also that of the final LayerNorm."""

    family: Literal["bitfit"]
    order = 110

    @property
    def trains_final_norm(self) -> bool:
        return False


class Linear(Method):
    """The head and the final LayerNorm."""

    family: Literal["linear"]


class Head(Method):
    """The head alone."""

    family: Literal["head"]

    @property
    def trains_final_norm(self) -> bool:
        return False


class Gradual(Method):
    """Everything, from the top: `start` layers at first, one more after every `every` epochs."""

    family: Literal["gradual"]
    start: Count
    every: Count

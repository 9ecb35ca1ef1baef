"""Methods that add nothing: some of the model's own parameters train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from petl.config.base import Count
from petl.config.methods.base import Combinable, Method


class Full(Combinable):
    """`layers: 3`, the last three, is what the released code calls full on wav2vec 2.0."""

    family: Literal["full"]
    layers: Literal["all"] | Count = "all"
    order = 100

    def conflict(self, others: Sequence[str]) -> str:
        whole = "'full' trains all layers; in a combination, set its 'layers' to a number"
        return whole if self.layers == "all" else ""


class BitFit(Combinable):
    """The biases, also that of the final LayerNorm."""

    family: Literal["bitfit"]
    order = 110
    trains_final_norm = False


class Linear(Method):
    """The head and the final LayerNorm."""

    family: Literal["linear"]


class Head(Method):
    """The head alone."""

    family: Literal["head"]
    trains_final_norm = False


class Gradual(Method):
    """Everything, from the top: `start` layers at first, one more after every `every` epochs."""

    family: Literal["gradual"]
    start: Count
    every: Count

"""Updates of low rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from petl.config.base import Count, Rate
from petl.config.methods.base import Added, distinct


class LowRank(Added):
    """The rank is hidden size / `reduction`, as the paper's code counts it."""

    reduction: Count
    targets: Annotated[
        tuple[Literal["q", "k", "v", "o"], ...],
        Field(strict=False, min_length=1),
        AfterValidator(distinct),
    ]
    scale: Literal["alpha/reduction", "alpha/rank"] | Rate
    alpha: Rate | None = None
    init: Literal["normal", "zero-up"]
    order = 120

    @model_validator(mode="after")
    def _alpha_is_for_rules(self) -> LowRank:
        if isinstance(self.scale, str) and self.alpha is None:
            raise ValueError(f"scale '{self.scale}' needs an alpha")
        if not isinstance(self.scale, str) and self.alpha is not None:
            raise ValueError(f"alpha has no effect when scale is a number ({self.scale:g})")
        return self


class LoRA(LowRank):
    family: Literal["lora"]
    only_once = False


class DoRA(LowRank):
    """LoRA for the direction of each row of a weight; the row's length is learned apart."""

    family: Literal["dora"]

    def conflict(self, others: Sequence[str]) -> str:
        return "'dora' contains a LoRA; do not combine it with 'lora'" if "lora" in others else ""

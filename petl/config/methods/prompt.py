"""Learned tokens, and learned keys and values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from petl.config.base import Count
from petl.config.methods.base import Added


class Prompt(Added):
    family: Literal["prompt"]
    depth: Literal["shallow", "deep"]
    length: Count
    order = 900
    why_not_merged = "the library's AST has no place for prompts"

    @property
    def prompt_length(self) -> int:
        return self.length

    @model_validator(mode="after")
    def _layers_are_for_deep_prompts(self) -> Prompt:
        if self.depth == "shallow" and self.layers != "all":
            raise ValueError(
                "shallow prompts enter before the first layer; set 'layers' only with depth 'deep'"
            )
        return self


class Prefix(Added):
    """`length` counts keys and values together, as the paper does: 24 is 12 + 12."""

    family: Literal["prefix"]
    length: Annotated[int, Field(ge=2, multiple_of=2)]
    order = 910
    why_not_merged = "the library's AST has no place for keys and values without tokens"

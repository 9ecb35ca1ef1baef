"""Mixtures of adapters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from petl.config.base import Count
from petl.config.methods.adapter import Bottleneck, Convpass, Gated, Placement


class Mixture(Gated):
    """Several adapters in parallel to a branch, mixed by a router.

    `attention_output: twice` is what the released code does: where only the attention has a
    mixture, what it adds is added once more behind the feed-forward network.
    """

    block: Annotated[Bottleneck | Convpass, Field(discriminator="kind")]
    experts: Annotated[int, Field(ge=2)]
    placement: Placement
    attention_output: Literal["once", "twice"]
    order = 610
    why_not_merged = "its experts are not linear"


class DenseMoA(Mixture):
    family: Literal["dense-moa"]


class SoftMoA(Mixture):
    """`normalise: experts` is what the released code does: the slots' lengths are taken over the
    experts, and the experts read normalised tokens. With `features`, Soft MoE's own, only the
    router reads normalised tokens."""

    family: Literal["soft-moa"]
    slots: Count
    normalise: Literal["none", "experts", "features"]

"""Adapters, alone and in mixtures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from petl.config.base import Count, Settings
from petl.config.methods.base import Added, distinct

Placement = (
    Literal["pfeiffer", "houlsby"]
    | Annotated[
        tuple[Literal["attention", "ffn"], ...],
        Field(strict=False, min_length=1),
        AfterValidator(distinct),
    ]
)
"""The branches that get a module: Pfeiffer is [ffn], Houlsby is [attention, ffn]."""


class Bottleneck(Settings):
    kind: Literal["bottleneck"]
    reduction: Count
    init: Literal["normal", "zero-up"]


class Conformer(Settings):
    """`convolution` runs over all tokens in a line, along rows of patches, or over their grid."""

    kind: Literal["conformer"]
    reduction: Count
    kernel: Count
    layer_norm: Literal["ignored", "applied"]
    init: Literal["default", "kaiming", "zero-up"]
    convolution: Literal["flattened", "rows", "grid"] = "flattened"


class Convpass(Settings):
    """The released code computes the convolution and does not use its result: `discarded`."""

    kind: Literal["convpass"]
    reduction: Count
    convolution: Literal["discarded", "used"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    init: Literal["normal", "zero-up"]


class Gated(Added):
    """`gate` multiplies what each module adds by a learned number, one for all or one per token."""

    gate: Literal["none", "scalar", "input"] = "none"
    order = 600
    only_once = False


class Adapter(Gated):
    """`residual` adds, in parallel, the branch's input; in a sequence, the first one's output.

    `layer_norms` are those in front of the adapted branches.
    """

    family: Literal["adapter"]
    block: Annotated[Bottleneck | Conformer | Convpass, Field(discriminator="kind")]
    placement: Placement
    composition: Literal["parallel", "sequential", "before"]
    residual: bool
    layer_norms: Literal["trained", "frozen"] = "trained"
    why_not_merged = "an adapter is not linear"

    @property
    def has_batch_norm(self) -> bool:
        return isinstance(self.block, Conformer)

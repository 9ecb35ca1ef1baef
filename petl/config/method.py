"""The vocabulary of methods: what is added where, and what trains.

A setting that came later has a default, which is what was done before it came: a run id leaves
defaults out, so the ids of older runs stay.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from petl.config.base import Count, Rate, Settings


def _one_by_one(value: Any) -> Any:
    """[8-10, 3] is (3, 8, 9, 10): the same layers have the same run id however they are written."""
    if not isinstance(value, list | tuple):
        return value
    if not value:
        raise ValueError("layers is an empty list; for all of them leave it out")
    indices: list[Any] = []
    for item in value:
        found = re.fullmatch(r"(\d+)-(\d+)", item) if isinstance(item, str) else None
        if found is None:
            indices.append(item)
        elif int(found[1]) > int(found[2]):
            raise ValueError(f"layers '{item}' run backwards: {found[2]}-{found[1]}")
        else:
            indices += range(int(found[1]), int(found[2]) + 1)
    whole = all(type(item) is int for item in indices)
    return tuple(sorted(set(indices))) if whole else tuple(indices)


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"the same twice: {', '.join(values)}")
    return values


Index = Annotated[int, Field(ge=0)]
LayerChoice = Annotated[
    Literal["all"] | tuple[Index, ...],
    BeforeValidator(
        _one_by_one,
        json_schema_input_type=Literal["all"]
        | list[Index | Annotated[str, Field(pattern=r"^\d+-\d+$")]],
    ),
]
"""`all`, or a list of indices and ranges, counted from 0: [0, 8-11]."""

Placement = (
    Literal["pfeiffer", "houlsby"]
    | Annotated[
        tuple[Literal["attention", "ffn"], ...],
        Field(strict=False, min_length=1),
        AfterValidator(_distinct),
    ]
)
"""The branches that get a module: Pfeiffer is [ffn], Houlsby is [attention, ffn]."""


class Added(Settings):
    """What every method has that adds modules to layers."""

    layers: LayerChoice = "all"


class Gated(Added):
    """`gate` multiplies what each module adds by a learned number, one for all or one per token."""

    gate: Literal["none", "scalar", "input"] = "none"


class Full(Settings):
    """`layers: 3`, the last three, is what the released code calls so on wav2vec 2.0."""

    family: Literal["full"]
    layers: Literal["all"] | Count = "all"


class Linear(Settings):
    """The head and the final LayerNorm."""

    family: Literal["linear"]


class Head(Settings):
    """The head alone."""

    family: Literal["head"]


class Gradual(Settings):
    """Everything, from the top: `start` layers at first, one more after every `every` epochs."""

    family: Literal["gradual"]
    start: Count
    every: Count


class BitFit(Settings):
    family: Literal["bitfit"]


class LowRank(Added):
    """`rank` is hidden size / reduction, as the paper's code counts it."""

    reduction: Count
    targets: Annotated[
        tuple[Literal["q", "k", "v", "o"], ...],
        Field(strict=False, min_length=1),
        AfterValidator(_distinct),
    ]
    scale: Literal["alpha/reduction", "alpha/rank"] | Rate
    alpha: Rate | None = None
    init: Literal["normal", "zero-up"]

    @model_validator(mode="after")
    def _alpha_is_for_rules(self) -> LowRank:
        if isinstance(self.scale, str) and self.alpha is None:
            raise ValueError(f"scale '{self.scale}' needs an alpha")
        if not isinstance(self.scale, str) and self.alpha is not None:
            raise ValueError(f"alpha does nothing when scale is a number ({self.scale:g})")
        return self


class LoRA(LowRank):
    family: Literal["lora"]


class DoRA(LowRank):
    """LoRA on the direction of each weight row, with its length learned apart."""

    family: Literal["dora"]


class SSF(Added):
    """Scale and shift of what every LayerNorm and linear map of a layer puts out."""

    family: Literal["ssf"]


class IA3(Added):
    """Scales of the keys, the values and the feed-forward network's inside."""

    family: Literal["ia3"]


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
    """The released code computes the convolution and goes on without it: `discarded`."""

    kind: Literal["convpass"]
    reduction: Count
    convolution: Literal["discarded", "used"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    init: Literal["normal", "zero-up"]


class Adapter(Gated):
    """`residual` adds, in parallel, the branch's input; in a sequence, the first one's output.

    `layer_norms` are those of the adapted branches.
    """

    family: Literal["adapter"]
    block: Annotated[Bottleneck | Conformer | Convpass, Field(discriminator="kind")]
    placement: Placement
    composition: Literal["parallel", "sequential", "before"]
    residual: bool
    layer_norms: Literal["trained", "frozen"] = "trained"


class Mixture(Gated):
    """Several adapters in parallel to a branch, mixed by a router.

    `attention_output: twice` is the released code's: where only the attention has a mixture, what
    it adds is added once more behind the feed-forward network.
    """

    block: Annotated[Bottleneck | Convpass, Field(discriminator="kind")]
    experts: Annotated[int, Field(ge=2)]
    placement: Placement
    attention_output: Literal["once", "twice"]


class DenseMoA(Mixture):
    family: Literal["dense-moa"]


class SoftMoA(Mixture):
    """`normalise: experts` is the released code's: the slots' lengths are taken over the experts,
    and the experts read normalised tokens. `features` is Soft MoE's: for the router alone."""

    family: Literal["soft-moa"]
    slots: Count
    normalise: Literal["none", "experts", "features"]


class Prompt(Added):
    family: Literal["prompt"]
    depth: Literal["shallow", "deep"]
    length: Count

    @model_validator(mode="after")
    def _layers_are_for_deep_prompts(self) -> Prompt:
        if self.depth == "shallow" and self.layers != "all":
            raise ValueError(
                "shallow prompts enter before the first layer: 'layers' is for deep ones"
            )
        return self


class Prefix(Added):
    """`length` counts keys and values together, as the paper does: 24 is 12 + 12."""

    family: Literal["prefix"]
    length: Annotated[int, Field(ge=2, multiple_of=2)]


Combinable = Annotated[
    Full | BitFit | LoRA | DoRA | IA3 | SSF | Adapter | DenseMoA | SoftMoA | Prompt | Prefix,
    Field(discriminator="family"),
]
# Weights first, so that they still merge; keys and values last, which change how many there are.
_ORDER = (
    *("full", "bitfit", "lora", "dora", "ia3", "ssf"),
    *("adapter", "dense-moa", "soft-moa", "prompt", "prefix"),
)


def _fit(methods: tuple[Combinable, ...]) -> tuple[Combinable, ...]:
    if len(methods) < 2:
        raise ValueError("a combination takes at least 2 methods")
    families = [method.family for method in methods]
    for once in ("full", "bitfit", "dora", "ia3", "ssf", "prompt", "prefix"):
        if families.count(once) > 1:
            raise ValueError(f"'{once}' is there {families.count(once)} times; once is enough")
    if any(isinstance(method, Full) and method.layers == "all" for method in methods):
        raise ValueError("'full' trains everything; in a combination, say how many 'layers'")
    if {"lora", "dora"} <= set(families):
        raise ValueError("DoRA is LoRA with lengths: 'lora' and 'dora' do not combine")
    return tuple(sorted(methods, key=lambda method: _ORDER.index(method.family)))


class Combine(Settings):
    """Several methods at once; the order in which they are given does not matter."""

    family: Literal["combine"]
    methods: Annotated[tuple[Combinable, ...], Field(strict=False), AfterValidator(_fit)]


Method = Annotated[
    Full
    | Linear
    | Head
    | Gradual
    | BitFit
    | LoRA
    | DoRA
    | IA3
    | SSF
    | Adapter
    | DenseMoA
    | SoftMoA
    | Prompt
    | Prefix
    | Combine,
    Field(discriminator="family"),
]


def parts(method: Any) -> tuple[Any, ...]:
    """The methods in it: itself, or those that it combines."""
    return method.methods if isinstance(method, Combine) else (method,)


def prompt_length(method: Any) -> int:
    """How many prompts are among the tokens that leave the encoder."""
    return sum(part.length for part in parts(method) if isinstance(part, Prompt))


def has_batch_norm(method: Any) -> bool:
    """Does it see a batch as a whole while training?"""
    blocks = (getattr(part, "block", None) for part in parts(method))
    return any(isinstance(block, Conformer) for block in blocks)

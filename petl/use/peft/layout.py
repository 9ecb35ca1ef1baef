"""What our tensors are called in PEFT's files.

PEFT's names are those of the library's modules, and transformers 5 renamed them. A file holds its
tensors under both, so that either version finds its own; PEFT ignores the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from petl.backbones import ast
from petl.backbones.encoder import Encoder, unwrap
from petl.methods.ia3 import ScaleInside, ScaleKeysValues
from petl.methods.lora import OnOutput, OnProjections, Turned, Update

TENSORS = "adapter_model.safetensors"
PREFIX = "base_model.model."
LORA, IA3 = "LORA", "IA3"
TARGETS = ("q", "k", "v", "o")


@dataclass(frozen=True)
class Place:
    """A linear map of the library that PEFT puts something around, and what it learns there."""

    layer: int
    target: str
    """One of TARGETS, or `down` for the map out of the feed-forward network."""
    tensors: dict[str, Tensor]
    """By PEFT's names, such as `lora_A.weight`; views of ours."""

    @property
    def modules(self) -> tuple[str, ...]:
        """The map's names in the library's ASTModel, before and since transformers 5."""
        return module_names(self.layer, self.target)


def module_names(layer: int, target: str) -> tuple[str, ...]:
    ours = {"o": "attention.out", "down": "ffn.down"}.get(target, "attention.qkv.linear")
    which = TARGETS.index(target) if target in "qkv" else 0
    names = ast.NAMING.alternatives(f"layers.{layer}.{ours}.weight")
    return tuple(parts[which].removesuffix(".weight") for parts in names)


def places(encoder: Encoder) -> Iterator[Place]:
    """Where LoRA, DoRA or (IA)3 is."""
    for i, layer in enumerate(encoder.bare_layers()):
        attention, ffn = unwrap(layer.attention), unwrap(layer.ffn)
        if isinstance(attention.qkv, OnProjections):
            for target, made in attention.qkv.made.items():
                yield Place(i, target, _low_rank(made))
        if isinstance(attention.out, OnOutput):
            yield Place(i, "o", _low_rank(attention.out.made))
        if isinstance(attention.qkv, ScaleKeysValues):
            yield Place(i, "k", {"ia3_l": attention.qkv.keys[:, None]})
            yield Place(i, "v", {"ia3_l": attention.qkv.values[:, None]})
        if isinstance(ffn.down, ScaleInside):
            yield Place(i, "down", {"ia3_l": ffn.down.inside[None]})


def _low_rank(made: Update | Turned) -> dict[str, Tensor]:
    update = made.update if isinstance(made, Turned) else made
    tensors = {"lora_A.weight": update.down.weight, "lora_B.weight": update.up.weight}
    return tensors | ({"lora_magnitude_vector": made.length} if isinstance(made, Turned) else {})

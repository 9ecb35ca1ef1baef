"""What a layout makes of a checkpoint, and the steps that several layouts share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from petl.config.front_end import BINS
from petl.errors import UserError

Tensors = Mapping[str, Tensor]
CLS = "embeddings.cls_token"
DIST = "embeddings.distillation_token"
POSITION = "embeddings.position_embeddings"
PATCH = "embeddings.patch_embeddings.projection"

SHAPE = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("layer_norm_eps", "qkv_bias", "patch_size", "frequency_stride", "time_stride"),
    *("max_length", "num_mel_bins", "model_type", "hidden_act"),
)
"""The keys of the library's config.json that say what an AST computes."""

_BLOCK = re.compile(r"blocks\.(\d{1,4})\.(.+)\.(weight|bias)")
_PARTS = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


@dataclass(frozen=True)
class Translated:
    """Tensors under the library's names, and what else the layout says.

    `facts` are keys of the library's config.json. `dropped` are names as the file has them.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    dropped: list[str]
    post_norm: bool = False
    notes: list[str] = field(default_factory=list)


def said(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json says in the library's words, all or a part."""
    return {key: config[key] for key in SHAPE if key in config}


def split(tensors: Tensors, unused: tuple[str, ...]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors to keep, and the names of those whose name begins with one of `unused`."""
    dropped = [name for name in tensors if name.startswith(unused)]
    return {name: t for name, t in tensors.items() if name not in set(dropped)}, dropped


def layers_of_timm(tensors: Tensors, others: Mapping[str, str]) -> dict[str, Tensor]:
    """Layers as timm names them, under the library's names; `others` names what is no layer.

    timm stacks queries, keys and values by rows. A name that is not known stays as it is.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        block = _BLOCK.fullmatch(name)
        number, part, end = block.groups() if block else ("", "", "")
        if part == "attn.qkv":
            names = [f"attention.attention.{one}" for one in ("query", "key", "value")]
            chunks = tensor.chunk(3)
        elif part in _PARTS:
            names, chunks = [_PARTS[part]], (tensor,)
        else:
            found[others.get(name, name)] = tensor
            continue
        for one, chunk in zip(names, chunks, strict=True):
            found[f"encoder.layer.{number}.{one}.{end}"] = chunk
    return found


def patches_of_timm(theirs: str) -> dict[str, str]:
    """The names of the patch convolution, which timm calls `proj`."""
    return {f"{theirs}.proj.{end}": f"{PATCH}.{end}" for end in ("weight", "bias")}


def need(tensors: Tensors, *names: str) -> None:
    """Refuse a checkpoint without these, before anything is computed from them."""
    if missing := [name for name in names if name not in tensors]:
        raise UserError(f"{' and '.join(missing)} missing")


def side_of(tensors: Tensors) -> int:
    """The side of a patch: only square ones are read."""
    shape = tuple(tensors[f"{PATCH}.weight"].shape)
    if len(shape) != 4 or shape[2] != shape[3]:
        size = " x ".join(map(str, shape[2:]))
        raise UserError(f"its patches are {size}, and petl reads square ones, such as 16 x 16")
    return shape[2]


def time_first(tensors: dict[str, Tensor], special: int, most: int | None = None) -> dict[str, Any]:
    """Turn patches that are listed frame by frame into ours, which are listed band by band.

    Their input is (frames, bins), so the kernels are turned too, and patches do not overlap. What
    follows from that is returned. Of more than `most` frames, the first are kept.
    """
    need(tensors, POSITION, f"{PATCH}.weight")
    side, position = side_of(tensors), tensors[POSITION]
    rows, patches = BINS // side, position.shape[1] - special
    if patches < rows or patches % rows:
        raise UserError(
            f"its position embeddings are {tuple(position.shape)}, not {special} and a multiple "
            f"of {rows} patches of {side} x {side}"
        )
    frames = patches // rows * side
    if most is not None and frames > most:
        frames = most // side * side
    plane = position[:, special:].unflatten(1, (-1, rows))[:, : frames // side]
    ours = plane.transpose(1, 2).flatten(1, 2)
    tensors[POSITION] = torch.cat([position[:, :special], ours], dim=1)
    tensors[f"{PATCH}.weight"] = tensors[f"{PATCH}.weight"].transpose(2, 3)
    return without_overlap(side, frames)


def without_overlap(side: int, frames: int, bins: int = BINS) -> dict[str, Any]:
    """The facts of a model that was trained on spectrograms of this size."""
    if min(bins, frames) < side:
        raise UserError(f"trained on {bins} bins x {frames} frames, in patches of {side} x {side}?")
    strides = {"frequency_stride": side, "time_stride": side}
    return {"patch_size": side, **strides, "max_length": frames, "num_mel_bins": bins}

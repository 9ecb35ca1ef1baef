"""The Audio Spectrogram Transformer: 16 x 16 patches of a log-mel spectrogram, CLS and DIST tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder, Geometry, load
from petl.interop.huggingface import read_checkpoint


class PatchTokens(nn.Module):
    """Spectrograms (batch, frames, bins) -> tokens: CLS, DIST, then patches, frequency-major."""

    def __init__(self, hidden: int, patch: int, strides: tuple[int, int], bins: int, frames: int):
        super().__init__()
        self.grid = ((bins - patch) // strides[0] + 1, (frames - patch) // strides[1] + 1)
        self.cls = nn.Parameter(torch.empty(1, 1, hidden))
        self.dist = nn.Parameter(torch.empty(1, 1, hidden))
        self.position = nn.Parameter(torch.empty(1, 2 + self.grid[0] * self.grid[1], hidden))
        self.patch = nn.Conv2d(1, hidden, patch, stride=strides)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch(x.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2)
        n = len(x)
        tokens = [self.cls.expand(n, -1, -1), self.dist.expand(n, -1, -1), patches]
        return torch.cat(tokens, dim=1) + self.position


def shape_of(c: dict[str, Any]) -> Geometry:
    return Geometry(
        hidden=c["hidden_size"],
        layers=c["num_hidden_layers"],
        heads=c["num_attention_heads"],
        mlp=c["intermediate_size"],
        eps=c["layer_norm_eps"],
        qkv_bias=c["qkv_bias"],
    )


def tokens_of(c: dict[str, Any], frames: int) -> PatchTokens:
    strides = (c["frequency_stride"], c["time_stride"])
    return PatchTokens(c["hidden_size"], c["patch_size"], strides, c["num_mel_bins"], frames)


def build(settings: config.Backbone, frames: int) -> Encoder:
    """The encoder with its pre-trained weights, for spectrograms of this many frames."""
    c, tensors = read_checkpoint(settings.source)
    encoder = Encoder(shape_of(c), tokens_of(c, frames))
    own = from_huggingface(tensors, c["num_hidden_layers"])
    pretrained_grid = tokens_of(c, c["max_length"]).grid
    own["tokens.position"] = fit_positions(
        own["tokens.position"], pretrained_grid, encoder.tokens.grid, settings.position_embeddings
    )
    load(encoder, own, settings.source)
    return encoder


def fit_positions(position: Tensor, old: tuple[int, int], new: tuple[int, int], how: str) -> Tensor:
    """Position embeddings for another clip length: as they are when the length is the same.

    `zeros` is what the released code ends up with: the library drops tensors whose sizes mismatch.
    """
    if old == new:
        return position
    if how == "zeros":
        return position.new_zeros(1, 2 + new[0] * new[1], position.shape[-1])
    special, grid = position[:, :2], position[:, 2:].unflatten(1, old).permute(0, 3, 1, 2)
    if how == "crop" and new[0] <= old[0] and new[1] <= old[1]:
        top, left = (old[0] - new[0]) // 2, (old[1] - new[1]) // 2
        grid = grid[:, :, top : top + new[0], left : left + new[1]]
    else:  # a crop cannot lengthen
        grid = F.interpolate(grid, size=new, mode="bilinear", align_corners=False)
    return torch.cat([special, grid.flatten(2).transpose(1, 2)], dim=1)


_NAMES = {
    "layernorm_before": "norm_attention",
    "attention.output.dense": "attention.out",
    "layernorm_after": "norm_ffn",
    "intermediate.dense": "ffn.up",
    "output.dense": "ffn.down",
}
_TOKENS = {
    "cls_token": "cls",
    "distillation_token": "dist",
    "position_embeddings": "position",
    "patch_embeddings.projection.weight": "patch.weight",
    "patch_embeddings.projection.bias": "patch.bias",
}


def names(layers: int) -> dict[str, tuple[str, ...]]:
    """Our name of each tensor -> the library's; several where ours holds theirs stacked."""
    table = {f"tokens.{ours}": (f"embeddings.{theirs}",) for theirs, ours in _TOKENS.items()}
    for end in ("weight", "bias"):
        table[f"norm.{end}"] = (f"layernorm.{end}",)
        for i in range(layers):
            theirs = f"encoder.layer.{i}"
            table[f"layers.{i}.attention.qkv.linear.{end}"] = tuple(
                f"{theirs}.attention.attention.{name}.{end}" for name in ("query", "key", "value")
            )
            for their_name, our_name in _NAMES.items():
                table[f"layers.{i}.{our_name}.{end}"] = (f"{theirs}.{their_name}.{end}",)
    return table


def from_huggingface(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    prefix = "audio_spectrogram_transformer."
    left = {k.removeprefix(prefix): t for k, t in tensors.items() if not k.startswith("classifier.")}
    own = {}
    for ours, theirs in names(layers).items():
        if all(name in left for name in theirs):
            own[ours] = torch.cat([left.pop(name).float() for name in theirs])
    return own | left  # what is left has no place; `load` names it


def to_huggingface(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    return {
        name: part.contiguous()
        for ours, theirs in names(layers).items()
        for name, part in zip(theirs, tensors[ours].chunk(len(theirs)), strict=True)
    }

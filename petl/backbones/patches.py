"""What AST and ViT share: patches of a spectrogram as tokens, and the names of their layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl.backbones.boxes import TIMES, Box, leaf, steps, tokens
from petl.backbones.encoder import Geometry
from petl.errors import UserError

Grid = tuple[int, int]
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the red, green and blue of photographs from 0 to 1."""


class PatchTokens(nn.Module):
    """Spectrograms (batch, frames, bins) -> tokens: special ones, then patches, frequency-major.

    A backbone for photographs reads three channels: it gets the spectrogram three times. With
    `is_image`, the spectrogram is a picture from 0 to 1, and its channels are normalised as in
    ImageNet. Where layers end in their own norm, so do the embeddings (`norm`).
    """

    def __init__(
        self,
        c: dict[str, Any],
        size: Grid,
        strides: Grid,
        channels: int,
        special: tuple[str, ...],
        norm: bool = False,
    ):
        super().__init__()
        hidden, patch = c["hidden_size"], c["patch_size"]
        self.channels, self.special_names, self.is_image = channels, special, False
        self.grid = grid(size, patch, strides)
        for name in special:
            self.register_parameter(name, nn.Parameter(torch.empty(1, 1, hidden)))
        tokens = len(special) + self.grid[0] * self.grid[1]
        self.position = nn.Parameter(torch.empty(1, tokens, hidden))
        self.patch = nn.Conv2d(channels, hidden, patch, stride=strides)
        self.norm = nn.LayerNorm(hidden, eps=c["layer_norm_eps"]) if norm else nn.Identity()

    @property
    def special(self) -> int:
        """How many tokens stand before the patches."""
        return len(self.special_names)

    def forward(self, x: Tensor) -> Tensor:
        image = x.transpose(1, 2).unsqueeze(1).expand(-1, self.channels, -1, -1)
        if self.is_image:
            mean, deviation = image.new_tensor(IMAGENET)[:, :, None, None]
            image = (image - mean) / deviation
        patches = self.patch(image).flatten(2).transpose(1, 2)
        special = [getattr(self, name).expand(len(x), -1, -1) for name in self.special_names]
        return self.norm(torch.cat([*special, patches], dim=1) + self.position)

    def boxes(self, name: str) -> Box:
        size = f" {TIMES} ".join(map(str, self.patch.kernel_size))
        special = [Box(name.upper()) for name in self.special_names]
        return steps(leaf(self, "Embeddings", f"patches of {size}"), tokens(*special))

    def resize(self, size: Grid, how: str, strides: Grid | None = None) -> None:
        """Read spectrograms of (bins, frames), patches `strides` apart; None keeps the distance.

        `how` says what happens to position embeddings.
        """
        self.patch.stride = strides or self.patch.stride
        new = grid(size, self.patch.kernel_size[0], self.patch.stride)
        position = fit_positions(self.position.detach(), self.grid, new, how)
        self.grid, self.position = new, nn.Parameter(position)


def grid(size: Grid, patch: int, strides: tuple[int, ...]) -> Grid:
    if min(size) < patch:
        small = f"{size[0]} bins x {size[1]} frames"
        raise UserError(f"a spectrogram of {small} is smaller than a patch of {patch} x {patch}")
    return (size[0] - patch) // strides[0] + 1, (size[1] - patch) // strides[1] + 1


def fit_positions(position: Tensor, old: Grid, new: Grid, how: str) -> Tensor:
    """Position embeddings for another clip length; for the same length they are unchanged.

    `zeros` is what the released code gets: the library drops tensors of other sizes. `interpolate`
    stretches both ways; `crop` takes the middle of what is too long and stretches what is too
    short.
    """
    if old == new:
        return position
    special = position.shape[1] - old[0] * old[1]
    if how == "zeros":
        return position.new_zeros(1, special + new[0] * new[1], position.shape[-1])
    plane = position[:, special:].unflatten(1, old).permute(0, 3, 1, 2)
    if how == "crop":
        plane = _middle(_middle(plane, 2, new[0]), 3, new[1])
    if plane.shape[2:] != new:
        plane = F.interpolate(plane, size=new, mode="bilinear", align_corners=False)
    return torch.cat([position[:, :special], plane.flatten(2).transpose(1, 2)], dim=1)


def _middle(plane: Tensor, dim: int, length: int) -> Tensor:
    have = plane.shape[dim]
    return plane.narrow(dim, have // 2 - length // 2, length) if length < have else plane


def geometry(c: dict[str, Any]) -> Geometry:
    return Geometry(
        hidden=c["hidden_size"],
        layers=c["num_hidden_layers"],
        heads=c["num_attention_heads"],
        mlp=c["intermediate_size"],
        eps=c["layer_norm_eps"],
        qkv_bias=c["qkv_bias"],
    )


LAYERS = {
    "layers.#.norm_attention": "encoder.layer.#.layernorm_before",
    "layers.#.attention.qkv.linear": (
        "encoder.layer.#.attention.attention.query",
        "encoder.layer.#.attention.attention.key",
        "encoder.layer.#.attention.attention.value",
    ),
    "layers.#.attention.out": "encoder.layer.#.attention.output.dense",
    "layers.#.norm_ffn": "encoder.layer.#.layernorm_after",
    "layers.#.ffn.up": "encoder.layer.#.intermediate.dense",
    "layers.#.ffn.down": "encoder.layer.#.output.dense",
    "norm": "layernorm",
    "tokens.cls": "embeddings.cls_token",
    "tokens.position": "embeddings.position_embeddings",
    "tokens.patch": "embeddings.patch_embeddings.projection",
}

# the names that transformers 5 uses in memory, and in files it does not write in the old format
NEWER_LAYERS = {
    "layers.#.norm_attention": "layers.#.layernorm_before",
    "layers.#.attention.qkv.linear": (
        "layers.#.attention.q_proj",
        "layers.#.attention.k_proj",
        "layers.#.attention.v_proj",
    ),
    "layers.#.attention.out": "layers.#.attention.o_proj",
    "layers.#.norm_ffn": "layers.#.layernorm_after",
    "layers.#.ffn.up": "layers.#.mlp.fc1",
    "layers.#.ffn.down": "layers.#.mlp.fc2",
}

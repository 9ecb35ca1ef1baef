"""What the networks of several generators share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn import functional as F

from petl.generate.base import Space

SLOPE = 0.2
PATCH, LEVELS = 4, 3
Size = tuple[int, int]


@contextmanager
def held(network: nn.Module) -> Iterator[None]:
    """Inside, gradients go through the network but are not added to those of its weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def norm(channels: int) -> nn.GroupNorm:
    """Groups of 8 channels where that is possible, with a gain and a bias for each channel."""
    return nn.GroupNorm(channels // 8 if channels % 8 == 0 else 1, channels)


def picture(clips: Tensor) -> Tensor:
    """(clips, frames, bins) as convolutions read them: (clips, 1, bins, frames)."""
    return clips.transpose(1, 2).unsqueeze(1)


def clips(pictures: Tensor) -> Tensor:
    """The way back from `picture`."""
    return pictures.squeeze(1).transpose(1, 2)


# --- maps of patches: as few positions as possible where gradients are kept for the way back


def sizes(space: Space) -> list[Size]:
    """Of the maps of patches, each half as high and wide as the one before, rounded up."""
    found = [(-(-space.bins // PATCH), -(-space.frames // PATCH))]
    while len(found) < LEVELS:
        found.append((-(-found[-1][0] // 2), -(-found[-1][1] // 2)))
    return found


def to_patches(pictures: Tensor) -> Tensor:
    """A channel for each value of a patch; zeros complete the last patches."""
    height, width = pictures.shape[2:]
    return F.pixel_unshuffle(F.pad(pictures, (0, -width % PATCH, 0, -height % PATCH)), PATCH)


def from_patches(maps: Tensor, space: Space) -> Tensor:
    return F.pixel_shuffle(maps, PATCH)[:, :, : space.bins, : space.frames]


def half(maps: Tensor) -> Tensor:
    return F.avg_pool2d(maps, 2, ceil_mode=True)


def double(maps: Tensor, size: Size) -> Tensor:
    """To a size that `half` makes these maps from."""
    return F.interpolate(maps, scale_factor=2.0, mode="nearest")[:, :, : size[0], : size[1]]


def convolution(channels: int, out: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    made = nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups)
    nn.init.kaiming_normal_(made.weight, a=SLOPE)
    nn.init.zeros_(made.bias)
    return made


class Residual(nn.Module):
    """x + 1x1(grouped 3x3(1x1(x))), where the last convolution starts at zero."""

    def __init__(self, channels: int):
        super().__init__()
        inner = 2 * channels
        groups = inner // 16 if inner % 16 == 0 else 1
        last = convolution(inner, channels)
        nn.init.zeros_(last.weight)
        self.body = nn.Sequential(
            convolution(channels, inner),
            nn.LeakyReLU(SLOPE, inplace=True),
            convolution(inner, inner, 3, groups),
            nn.LeakyReLU(SLOPE, inplace=True),
            last,
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.body(maps)


class Across(nn.Module):
    """Each position learns of the means of its row and column, so that a clip is of one piece."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = norm(channels)
        self.row, self.column = convolution(channels, channels), convolution(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        x = self.norm(maps)
        of_row, of_column = x.mean(3, keepdim=True), x.mean(2, keepdim=True)
        return maps + self.row(of_row) + self.column(of_column)


class Attention(nn.Module):
    """Each position looks at all others."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm, self.qkv = norm(channels), convolution(channels, 3 * channels)
        self.last = convolution(channels, channels)
        nn.init.zeros_(self.last.weight)

    def forward(self, maps: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(maps)).flatten(2).chunk(3, dim=1)
        weights = (q.transpose(1, 2) @ k / math.sqrt(q.shape[1])).softmax(dim=2)
        return maps + self.last((v @ weights.transpose(1, 2)).unflatten(2, maps.shape[2:]))

"""What the networks of several generators share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


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

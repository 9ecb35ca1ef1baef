"""SpecAugment, mixup, balanced sampling, synthetic clips.

They are drawn for a whole epoch at once, and applied batch by batch. What happens to a clip depends
on its position in the epoch's order. So an epoch that resumes in the middle, or has larger batches,
gets the same masks. They are drawn on the CPU, so that they do not depend on the device either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from petl.config import Mixup, SpecAugment


@dataclass(frozen=True)
class Masks:
    """(2, bands or stretches, clips) each.

    The first masked bin or frame of each, and the first one after it.
    """

    frequency: Tensor
    time: Tensor

    def to(self, device: torch.device | str) -> Masks:
        """Called once per epoch, so that no batch waits for its masks to be copied to a GPU."""
        return Masks(self.frequency.to(device), self.time.to(device))

    def apply(self, batch: Tensor, start: int) -> Tensor:
        """A copy of the batch (clips, frames, bins) with 0 in the masks.

        `start` is the position of its first clip in the epoch's order.
        """
        frequency = _inside(self.frequency, batch, start, batch.shape[2])
        time = _inside(self.time, batch, start, batch.shape[1])
        return batch.masked_fill(frequency[:, None, :] | time[:, :, None], 0.0)


def draw_masks(
    clips: int, frames: int, bins: int, settings: SpecAugment, generator: torch.Generator
) -> Masks:
    """Bands of mel bins and stretches of frames for each clip."""
    bands = [_stretches(clips, bins, settings.frequency, generator) for _ in range(settings.bands)]
    stretches = [
        _stretches(clips, frames, settings.time, generator) for _ in range(settings.stretches)
    ]
    return Masks(torch.stack(bands, dim=1), torch.stack(stretches, dim=1))


def _stretches(clips: int, size: int, widest: int, generator: torch.Generator) -> Tensor:
    """As torchaudio draws them for a single clip.

    The width is uniform in [0, widest) and the start in [0, size - width); both are rounded down
    only then. So no stretch is `widest` wide, and none reaches the last position.
    """
    width, start = torch.rand(2, clips, generator=generator)
    width = width * widest
    start = (start * (size - width)).long()
    return torch.stack([start, start + width.long()])


def _inside(stretches: Tensor, batch: Tensor, start: int, size: int) -> Tensor:
    """(clips, size), True inside each clip's stretches."""
    first, after = stretches[..., start : start + len(batch), None].to(batch.device)
    position = torch.arange(size, device=batch.device)
    return ((position >= first) & (position < after)).any(dim=0)


@dataclass(frozen=True)
class Mixing:
    """(clips,) each: the share of the other clip, 0 for none; and which other, in [0, 1)."""

    share: Tensor
    other: Tensor

    def to(self, device: torch.device | str) -> Mixing:
        return Mixing(self.share.to(device), self.other.to(device))

    def apply(self, x: Tensor, y: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, both mixed with those of another clip of the batch.

        Targets are shares of each class (clips, classes) or a regression's numbers. If the batch
        is split into micro-batches, mix it before.
        """
        clips = len(x)
        part = slice(start, start + clips)
        share, other = self.share[part].to(x.device), self.other[part].to(x.device)
        position = torch.arange(clips, device=x.device)
        partner = (position + 1 + (other * (clips - 1)).long()) % clips
        return _mixed(x, partner, share), _mixed(y, partner, share)


def draw_mixup(clips: int, settings: Mixup, generator: torch.Generator) -> Mixing:
    """Which clips are mixed, with what share, from Beta(alpha, alpha), and with which others.

    The share is a uniform number put through the inverse of the distribution: torch's own sampler
    takes no generator, and numpy's may draw other numbers in another version.
    """
    from scipy.special import betaincinv

    mixed, quantile, other = torch.rand(3, clips, generator=generator, dtype=torch.float64)
    share = torch.from_numpy(betaincinv(settings.alpha, settings.alpha, quantile.numpy()))
    return Mixing(share.masked_fill(mixed >= settings.share, 0.0), other)


def _mixed(x: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    share = share.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))
    return torch.lerp(x, x[partner], share)


def balanced(targets: np.ndarray, classes: int) -> Tensor:
    """How often to draw each clip: the weights of the AST's released recipe.

    A class weighs 1000 / (its clips + 0.01), a clip the sum over its labels.
    """
    if targets.ndim == 1:
        return torch.from_numpy(1000 / (np.bincount(targets, minlength=classes) + 0.01))[targets]
    counts = targets.sum(axis=0, dtype=np.int64)
    return torch.from_numpy(targets @ (1000 / (counts + 0.01)))


def draw_clips(weights: Tensor, generator: torch.Generator) -> Tensor:
    """As many clips as there are weights, with replacement: a clip can be drawn several times.

    Uniform numbers through the inverse of the distribution, as in `draw_mixup`.
    """
    upper = weights.cumsum(0)
    drawn = torch.rand(len(weights), generator=generator, dtype=torch.float64) * upper[-1]
    return torch.searchsorted(upper, drawn, right=True).clamp_max(len(weights) - 1)


def put_synthetic(clips: np.ndarray, number: int, generator: torch.Generator) -> np.ndarray:
    """An epoch's clips, so many of them replaced by synthetic ones: -1 is the first of those.

    No synthetic clip comes twice, and of two numbers the larger one replaces all that the other
    does.
    """
    chosen, made = (torch.randperm(len(clips), generator=generator) for _ in range(2))
    replaced = clips.copy()
    replaced[chosen[:number].numpy()] = -1 - made[:number].numpy()
    return replaced

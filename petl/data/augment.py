"""SpecAugment: one band of mel bins and one stretch of frames blanked in each spectrogram."""

from __future__ import annotations

import torch
from torch import Tensor

from petl.config import SpecAugment


def spec_augment(batch: Tensor, settings: SpecAugment, generator: torch.Generator) -> Tensor:
    """A copy of the batch (clips, frames, bins) with 0 in the masks, drawn anew for each clip.

    The generator stays on the CPU, so that masks do not depend on the device.
    """
    clips, frames, bins = batch.shape
    frequency = _stretches(clips, bins, settings.frequency, generator).to(batch.device)
    time = _stretches(clips, frames, settings.time, generator).to(batch.device)
    return batch.masked_fill(frequency[:, None, :] | time[:, :, None], 0.0)


def _stretches(clips: int, size: int, widest: int, generator: torch.Generator) -> Tensor:
    """(clips, size), True inside one stretch per clip.

    As torchaudio draws it for a single clip: width uniform in [0, widest), start uniform in
    [0, size - width), and only then both rounded down: no stretch is `widest` wide
    and none reaches the last position.
    """
    width, start = torch.rand(2, clips, 1, generator=generator)
    width = width * widest
    start = (start * (size - width)).long()
    position = torch.arange(size)
    return (position >= start) & (position < start + width.long())

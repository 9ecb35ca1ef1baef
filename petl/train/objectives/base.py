"""What the objectives share: raw spectrograms in, the error of each clip out.

Masks are drawn while the model runs, as dropout draws its own: from torch's global generator, which
is seeded for each epoch and kept in a checkpoint. On the CPU, so that they do not depend on the
device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from petl.backbones.encoder import Encoder
from petl.config import Statistics
from petl.data.features import normalise


class SelfSupervised(nn.Module, ABC):
    """An encoder to pre-train, and a `head` that only pre-training needs."""

    head_only = False

    def __init__(self, encoder: Encoder, head: nn.Module, statistics: Statistics):
        super().__init__()
        self.backbone, self.head = encoder.requires_grad_(True), head
        self.statistics = statistics

    def forward(self, raw: Tensor) -> Tensor:
        return self.errors(normalise(raw, self.statistics), sounding(raw))

    @abstractmethod
    def errors(self, clean: Tensor, sound: Tensor) -> Tensor:
        """Of each clip, the mean squared error; `sound`: which frames are no padding."""


def sounding(raw: Tensor) -> Tensor:
    """Which frames hold sound. Padding is 0 in all bins, and digital silence is -15.9."""
    return (raw != 0).any(dim=-1)


def mean_over(errors: Tensor, counted: Tensor) -> Tensor:
    """The mean of each row's counted errors; 0 where none counts."""
    counted = counted.to(errors.dtype)
    return (errors * counted).sum(dim=1) / counted.sum(dim=1).clamp_min(1)


def drawn(*shape: int) -> Tensor:
    """Uniform numbers in [0, 1) from the generator that a checkpoint keeps."""
    return torch.rand(shape, generator=torch.default_generator)

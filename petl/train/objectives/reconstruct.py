"""Reconstruction: the whole spectrogram from one in which a stretch of frames and a band are 0."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder
from petl.config.front_end import BINS
from petl.data.augment import draw_masks
from petl.methods import init
from petl.train.objectives.base import SelfSupervised, mean_over


class Reconstruct(SelfSupervised):
    def __init__(
        self, encoder: Encoder, settings: config.Reconstruct, statistics: config.Statistics
    ):
        super().__init__(encoder, Decoder(encoder.shape.hidden), statistics)
        self.settings = settings

    def errors(self, clean: Tensor, sound: Tensor) -> Tensor:
        given = self.masked(clean) if self.training else clean
        every = torch.ones_like(sound) if self.settings.target == "all" else sound
        return mean_over(self.of_frames(given, clean), every)

    def of_frames(self, given: Tensor, clean: Tensor) -> Tensor:
        said = self.head(self.backbone(given), clean.shape[1])
        return (said.float() - clean).square().mean(dim=2)

    def masked(self, clean: Tensor) -> Tensor:
        """Masks as SpecAugment draws them; 0 is the mean of the training clips."""
        clips, frames, bins = clean.shape
        widest = config.SpecAugment(
            frequency=self.settings.frequency, time=self.settings.time, mask="after-normalisation"
        )
        masks = draw_masks(clips, frames, bins, widest, torch.default_generator)
        return masks.to(clean.device).apply(clean, 0)


class Decoder(nn.Module):
    """Every token, CLS and DIST too, becomes a column of mel bins; two convolutions run along the
    sequence of tokens, which is then stretched to the frames."""

    def __init__(self, hidden: int):
        super().__init__()
        self.projector = nn.Linear(hidden, BINS)
        self.decoder = nn.Sequential(
            nn.Conv1d(BINS, BINS, 3, padding=1), nn.ReLU(), nn.Conv1d(BINS, BINS, 3, padding=1)
        )
        init.default(self.projector, self.decoder[0], self.decoder[2])

    def forward(self, h: Tensor, frames: int) -> Tensor:
        columns = self.decoder(self.projector(h).transpose(1, 2))
        stretched = F.interpolate(columns, size=frames, mode="linear", align_corners=True)
        return stretched.transpose(1, 2)

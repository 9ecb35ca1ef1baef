"""What the three generators share: conditions and raw spectrograms in, raw spectrograms out.

A generator sees the training clips of one fold, a batch at a time. What makes samples later are the
averaged weights of one of its networks, and the scale of the clips.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam

from petl import config

Curves = dict[str, Tensor]
"""What a step tells, a number each: losses, gradient norms, how often a discriminator is right."""


@dataclass(frozen=True)
class Space:
    """What is generated: raw spectrograms as a fold's training clips are, and their conditions."""

    frames: int
    bins: int
    conditions: int
    """Numbers that describe a clip: its scaled targets, or 0 and 1 for each class."""
    mean: float
    deviation: float
    low: float
    high: float
    """Over all values of the training clips."""


class Generator(nn.Module, ABC):
    """`fit` is one step on a batch, `sample` makes clips with the averaged weights.

    New weights come from torch's global generator: seed it first. All later draws come from the
    generators that are passed in, so a step is the same after a restart.
    """

    advice = "a lower train.lr"
    """What to try after a collapse."""

    def __init__(
        self,
        space: Space,
        settings: config.Generator,
        networks: dict[str, nn.Module],
        made_by: str,
    ):
        """`made_by`: the name of the network that makes the clips."""
        super().__init__()
        self.space, self.settings, self.made_by = space, settings, made_by
        self.networks = nn.ModuleDict(networks)
        self.average = deepcopy(networks[made_by]).requires_grad_(False)
        self.register_buffer("followed", torch.zeros(()))
        self.optimisers: dict[str, Adam] = {}

    def begin(self, train: config.Train) -> None:
        """Make the optimisers; afterwards `fit` can be called."""
        self.train_settings = train
        for name, network in self.networks.items():
            self.optimisers[name] = Adam(
                network.parameters(),
                lr=self.rate(name),
                betas=train.betas,
                eps=train.eps,
                weight_decay=train.weight_decay,
            )

    def rate(self, name: str) -> float:
        """The learning rate of a network."""
        return self.train_settings.lr

    @abstractmethod
    def fit(self, clips: Tensor, conditions: Tensor, draws: torch.Generator) -> Curves:
        """One step on raw spectrograms (clips, frames, bins), in pieces of `train.micro_batch`."""

    @abstractmethod
    def make(self, conditions: Tensor, draws: torch.Generator) -> Tensor:
        """Clips in the networks' own unit, with the averaged weights."""

    @torch.no_grad()
    def sample(self, conditions: Tensor, seed: int, batch: int = 16) -> Tensor:
        """A raw spectrogram for each condition, on the CPU; `batch` changes rounding alone."""
        self.average.eval()
        draws = torch.Generator().manual_seed(seed)
        pieces = conditions.to(next(self.average.parameters()).device).split(batch)
        return torch.cat([self.to_raw(self.make(piece, draws)).cpu() for piece in pieces])

    # --- the networks' unit: mean 0 and deviation 1 over the training clips, or another one

    def from_raw(self, clips: Tensor) -> Tensor:
        return (clips - self.space.mean) / self.space.deviation

    def to_raw(self, made: Tensor) -> Tensor:
        return made * self.space.deviation + self.space.mean

    # --- for `fit` and `make`

    def check(self, clips: Tensor, conditions: Tensor) -> None:
        """Wrong shapes are a mistake in the code that calls; nothing is reshaped until it fits."""
        wanted = (self.space.frames, self.space.bins), (len(clips), self.space.conditions)
        found = tuple(clips.shape[1:]), tuple(conditions.shape)
        if found != wanted:
            raise ValueError(f"clips and conditions of the shapes {found} instead of {wanted}")

    @staticmethod
    def noise(clips: int, shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
        """Drawn clip by clip, since torch draws other numbers for a batch of another size."""
        return torch.stack([torch.randn(shape, generator=draws) for _ in range(clips)])

    def pieces(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """The batch in pieces that fit into memory; a loss weighs each by its share."""
        size = self.train_settings.micro_batch or len(tensors[0])
        return list(zip(*(tensor.split(size) for tensor in tensors), strict=True))

    def update(self, name: str) -> Tensor:
        """One step of a network's optimiser; return the gradients' norm before they are clipped."""
        parameters = self.networks[name].parameters()
        limit = self.train_settings.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        self.optimisers[name].step()
        return norm

    @torch.no_grad()
    def follow(self) -> None:
        """Move the averaged weights a little towards those of this step.

        More than a little in the first steps, so that the random first weights are soon gone.
        """
        self.followed += 1
        kept = ((1 + self.followed) / (10 + self.followed)).clamp(max=self.settings.average)
        network = self.networks[self.made_by]
        new = dict(network.named_parameters())
        for name, average in self.average.named_parameters():
            average.lerp_(new[name], 1 - kept)
        buffers = dict(network.named_buffers())
        for name, buffer in self.average.named_buffers():
            buffer.copy_(buffers[name])

"""Rectified flow (Liu et al., ICLR 2023): a network learns the straight way from noise to a clip.

At time t a clip is x_t = (1 - t) noise + t x; the network predicts x - noise. A sample starts as
noise and takes Euler steps. There is no opponent, so nothing that could collapse.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.errors import UserError
from petl.generate.base import Curves, Generator, Space
from petl.generate.networks.layers import (
    PATCH,
    Across,
    Attention,
    Residual,
    clips,
    convolution,
    double,
    from_patches,
    half,
    norm,
    picture,
    sizes,
    to_patches,
)

WAVES = 16
"""Frequencies in which the network sees the time."""
DETAIL = 0.3
"""The deviation of what is left of a clip when its rough shape is known. If that were normal noise,
a known factor of x_t would predict it; the network learns what is beyond that."""
ATTENTION_LIMIT = 256e6
"""Bytes of a batch's attention matrices."""


class Block(nn.Module):
    """A residual block that time and condition tell which channels matter."""

    def __init__(self, channels: int, embedding: int):
        super().__init__()
        self.norm, self.residual = norm(channels), Residual(channels)
        self.film = nn.Linear(embedding, 2 * channels)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, maps: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        return maps + self.residual.body(self.norm(maps) * (1 + scale) + shift)


class Velocity(nn.Module):
    """A small U-Net on patches, one block at each size on the way down and on the way up.

    What is learned for each row and column tells the network where it is: at which frequency.
    """

    def __init__(self, space: Space, width: int, attention: bool):
        super().__init__()
        self.space = space
        embedding = 4 * width
        self.condition = nn.Linear(space.conditions, embedding)
        self.time = nn.Sequential(
            nn.Linear(2 * WAVES, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.register_buffer("waves", torch.logspace(0, 2, WAVES), persistent=False)
        self.first = convolution(PATCH * PATCH, width, 3)
        channels = (width, 2 * width, 4 * width)
        shapes = list(zip(channels, sizes(space), strict=True))
        self.rows = nn.ParameterList(torch.zeros(c, height, 1) for c, (height, _) in shapes)
        self.columns = nn.ParameterList(torch.zeros(c, 1, width) for c, (_, width) in shapes)
        self.down = nn.ModuleList(Block(c, embedding) for c in channels)
        self.up = nn.ModuleList(Block(c, embedding) for c in channels)
        self.wider = nn.ModuleList(convolution(c, 2 * c) for c in channels[:-1])
        self.narrower = nn.ModuleList(convolution(2 * c, c) for c in channels[:-1])
        self.across = Across(4 * width)
        self.attention = Attention(4 * width) if attention else nn.Identity()
        self.last = convolution(width, PATCH * PATCH, 3)
        nn.init.zeros_(self.last.weight)

    def forward(self, at: Tensor, time: Tensor, conditions: Tensor) -> Tensor:
        angles = time[:, None] * self.waves
        told = self.time(torch.cat([angles.sin(), angles.cos()], 1)) + self.condition(conditions)
        embedding = F.silu(told)
        x, passed = self.first(to_patches(picture(at))), []
        for level, block in enumerate(self.down):
            x = self.wider[level - 1](half(x)) if level else x
            x = block(x + self.rows[level] + self.columns[level], embedding)
            passed.append(x)
        x = self.attention(self.across(x))
        for level in reversed(range(len(self.up))):
            if level < len(self.up) - 1:
                x = double(self.narrower[level](x), sizes(self.space)[level]) + passed[level]
            x = self.up[level](x, embedding)
        learned = clips(from_patches(self.last(x), self.space))
        t = time[:, None, None]
        spread = (DETAIL * t) ** 2 + (1 - t) ** 2
        return (DETAIL**2 * t - (1 - t)) / spread * at + learned / spread.sqrt()


class Flow(Generator):
    settings: config.Flow

    def __init__(self, space: Space, settings: config.Flow):
        network = Velocity(space, settings.width, settings.attention == "spatial")
        super().__init__(space, settings, {"velocity": network}, made_by="velocity")

    def begin(self, train: config.Train) -> None:
        if self.settings.attention == "spatial":
            _refuse_large(sizes(self.space)[-1], train.micro_batch or train.batch_size)
        super().begin(train)

    def fit(self, clips: Tensor, conditions: Tensor, draws: torch.Generator) -> Curves:
        self.check(clips, conditions)
        self.optimisers["velocity"].zero_grad(set_to_none=True)
        real = self.from_raw(clips)
        noise = self.noise(len(real), real.shape[1:], draws).to(real)
        time = self.noise(len(real), (), draws).to(real).sigmoid()  # more often in the middle
        total = torch.zeros((), device=real.device)
        for x, c, n, t in self.pieces(real, conditions, noise, time):
            ahead = t[:, None, None]
            predicted = self.networks["velocity"]((1 - ahead) * n + ahead * x, t, c)
            loss = F.mse_loss(predicted, x - n) * len(x) / len(real)
            loss.backward()
            total += loss.detach()
        curves = {"loss": total, "gradient_velocity": self.update("velocity")}
        self.follow()
        return curves

    def make(self, conditions: Tensor, draws: torch.Generator) -> Tensor:
        shape, steps = (self.space.frames, self.space.bins), self.settings.steps
        x = self.noise(len(conditions), shape, draws).to(conditions.device)
        for step in range(steps):
            x = x + self.average(x, x.new_full((len(x),), step / steps), conditions) / steps
        return x


def _refuse_large(low: tuple[int, int], batch: int) -> None:
    positions = low[0] * low[1]
    needed = 4 * batch * positions**2
    if needed > ATTENTION_LIMIT:
        raise UserError(
            f"generator.attention: spatial at {low[0]} x {low[1]} = {positions:,} positions needs "
            f"{needed / 1e9:.2f} GB for {batch} clips, above {ATTENTION_LIMIT / 1e9:.2f} GB; set "
            "train.micro_batch, or attention: none"
        )

"""The networks of the GAN: as large as the released ones, with the changes that gan.py names."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from petl.errors import UserError
from petl.generate.base import Space
from petl.generate.networks.layers import SLOPE, norm, picture
from petl.generate.networks.layers import clips as clips_of

DROPOUT = 0.3


class ChannelAttention(nn.Module):
    """Weighs channels by their mean and their maximum."""

    def __init__(self, channels: int, reduction: int = 8):
        super().__init__()
        narrow = max(1, channels // reduction)
        self.weigh = nn.Sequential(
            nn.Linear(channels, narrow, bias=False),
            nn.ReLU(),
            nn.Linear(narrow, channels, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        weights = self.weigh(x.mean((2, 3))) + self.weigh(x.amax((2, 3)))
        return x * torch.sigmoid(weights)[:, :, None, None]


class Maker(nn.Module):
    """The generator's network.

    Three transposed convolutions double both sides of the first map and a fourth makes 8 frames of
    each column. The first map has bins / 8 rows and frames / 64 columns, rounded and at least 1;
    what remains is interpolated.
    """

    def __init__(self, space: Space, width: int, latent: int):
        super().__init__()
        self.size = space.bins, space.frames
        self.map = 8 * width, max(1, round(space.bins / 8)), max(1, round(space.frames / 64))
        first = self.map[0] * self.map[1] * self.map[2]
        self.condition = nn.Sequential(
            nn.Linear(space.conditions, 4 * width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(4 * width, 8 * width),
            nn.LeakyReLU(SLOPE),
        )
        self.first = nn.Sequential(
            nn.Linear(latent + 8 * width, first), nn.LayerNorm(first), nn.ReLU(inplace=True)
        )
        self.rest = nn.Sequential(
            *_doubled(8 * width, 4 * width),
            *_doubled(4 * width, 2 * width),
            ChannelAttention(2 * width),
            *_doubled(2 * width, width),
            nn.ConvTranspose2d(width, 1, (1, 8), (1, 8)),
            nn.Tanh(),
        )

    def forward(self, latents: Tensor, conditions: Tensor) -> Tensor:
        x = self.first(torch.cat([latents, self.condition(conditions)], dim=1))
        x = self.rest(x.unflatten(1, self.map))
        return clips_of(F.interpolate(x, self.size, mode="bilinear", align_corners=False))


def _doubled(channels: int, out: int) -> list[nn.Module]:
    doubled = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)
    return [doubled, norm(out), nn.ReLU(inplace=True)]


class Discriminator(nn.Module):
    """A number for each clip, above 0 for "real"."""

    def __init__(self, space: Space, width: int):
        super().__init__()
        if min(space.bins, space.frames) < 16:
            raise UserError(
                f"generator gan: a clip needs 16 bins and 16 frames or more; "
                f"these have {space.bins} and {space.frames}"
            )
        channels = [1, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(channels)):
            layers.append(spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)))
            layers += [norm(after)] if i else []
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
        self.convolutions = nn.Sequential(*layers)
        self.condition = nn.Sequential(nn.Linear(space.conditions, 2 * width), nn.LeakyReLU(SLOPE))
        seen = 8 * width * (space.bins // 16) * (space.frames // 16) + 2 * width
        self.hidden, self.last = nn.Linear(seen, 8 * width), nn.Linear(8 * width, 1)

    def turn(self) -> None:
        """A power iteration of each spectral norm; all pieces of a batch then see one norm."""
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv2d):
                layer.parametrizations.train()
                layer.weight  # noqa: B018  (to compute it is to iterate)
                layer.parametrizations.eval()

    def forward(self, clips: Tensor, conditions: Tensor, keep: Tensor) -> Tensor:
        """`keep`: 0 or 1 for each clip and hidden unit, which is dropout."""
        x = torch.cat([self.convolutions(picture(clips)).flatten(1), self.condition(conditions)], 1)
        x = F.leaky_relu(self.hidden(x), SLOPE) * keep / (1 - DROPOUT)
        return self.last(x).squeeze(1)

"""A released convolutional GAN for spectrograms with binary cross-entropy, repaired.

At width 32 and 128 x 1292 with two conditions it has as many parameters as the released networks.
What differs, and why:

- Normalisation is within a clip (LayerNorm, GroupNorm), not over the batch, with as many gains and
  biases: a batch in pieces then gives the same step as the whole batch, and a sample does not
  depend on its neighbours. The power iteration of spectral normalisation is done once a step.
- The labels "real" and "synthetic" are new tensors; the conditions stay what they are.
- The generator's step leaves the discriminator's gradients alone.
- Clips are scaled to what tanh reaches, with a margin at both ends where it would be flat.
- All draws of a step are made for the whole batch, dropout's too, from the generator passed in.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from petl import config
from petl.errors import UserError
from petl.generate.base import Curves, Generator, Space
from petl.generate.layers import SLOPE, held, norm, picture
from petl.generate.layers import clips as clips_of

REACH = 0.95
"""The training clips' lowest and highest values become -0.95 and 0.95, and tanh reaches -1..1."""
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


class GAN(Generator):
    settings: config.GAN

    def __init__(self, space: Space, settings: config.GAN):
        networks = {
            "generator": Maker(space, settings.width, settings.latent),
            "discriminator": Discriminator(space, settings.width),
        }
        super().__init__(space, settings, networks, made_by="generator")

    def rate(self, name: str) -> float:
        return self.settings.discriminator_lr if name == "discriminator" else super().rate(name)

    def fit(self, clips: Tensor, conditions: Tensor, draws: torch.Generator) -> Curves:
        self.check(clips, conditions)
        batch = self.from_raw(clips), conditions
        told = self._judge(*batch, draws)
        right = (told["right_real"] + told["right_synthetic"]) / 2
        if right < self.settings.band:
            told = self._judge(*batch, draws)
        for _ in range(3 if told["right_real"] > self.settings.band else 2):
            told |= self._make(*batch, draws)
        self.follow()
        return told

    def _judge(self, clips: Tensor, conditions: Tensor, draws: torch.Generator) -> Curves:
        """A step of the discriminator, and how often it was right before."""
        maker, judge = self.networks["generator"], self.networks["discriminator"]
        judge.turn()
        self.optimisers["discriminator"].zero_grad(set_to_none=True)
        drawn = self._latents(clips, draws), self._keep(clips, draws), self._keep(clips, draws)
        sums = clips.new_zeros(3)
        for real, asked, latents, *keep in self.pieces(clips, conditions, *drawn):
            with torch.no_grad():
                made = maker(latents, asked)
            for is_real, shown in enumerate((made, real)):
                found = judge(shown, asked, keep[is_real])
                loss = entropy(found, bool(is_real)) / (2 * len(clips))
                loss.backward()
                sums[0] += loss.detach()
                sums[1 + is_real] += ((found > 0) == bool(is_real)).sum() / len(clips)
        gradient = self.update("discriminator")
        names = "loss_discriminator", "right_synthetic", "right_real", "gradient_discriminator"
        return dict(zip(names, [*sums, gradient], strict=True))

    def _make(self, clips: Tensor, conditions: Tensor, draws: torch.Generator) -> Curves:
        """A step of the generator."""
        maker, judge = self.networks["generator"], self.networks["discriminator"]
        self.optimisers["generator"].zero_grad(set_to_none=True)
        total = clips.new_zeros(())
        drawn = self._latents(clips, draws), self._keep(clips, draws)
        with held(judge):
            for asked, latents, keep in self.pieces(conditions, *drawn):
                loss = entropy(judge(maker(latents, asked), asked, keep), True) / len(clips)
                loss.backward()
                total += loss.detach()
        return {"loss_generator": total, "gradient_generator": self.update("generator")}

    def make(self, conditions: Tensor, draws: torch.Generator) -> Tensor:
        return self.average(self._latents(conditions, draws), conditions)

    def _latents(self, like: Tensor, draws: torch.Generator) -> Tensor:
        return self.noise(len(like), (self.settings.latent,), draws).to(like)

    def _keep(self, like: Tensor, draws: torch.Generator) -> Tensor:
        units = self.networks["discriminator"].hidden.out_features
        return (torch.rand(len(like), units, generator=draws) >= DROPOUT).to(like)

    def from_raw(self, clips: Tensor) -> Tensor:
        low, high = self.space.low, self.space.high
        return REACH * (2 * (clips - low) / (high - low) - 1)

    def to_raw(self, made: Tensor) -> Tensor:
        low, high = self.space.low, self.space.high
        return (made / REACH + 1) / 2 * (high - low) + low


def entropy(found: Tensor, is_real: bool) -> Tensor:
    """The summed binary cross-entropy of clips that are all real, or all synthetic."""
    labels = found.new_full((len(found),), float(is_real))
    return F.binary_cross_entropy_with_logits(found, labels, reduction="sum")

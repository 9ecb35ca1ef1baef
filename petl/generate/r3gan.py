"""R3GAN (Huang et al., The GAN is dead; long live the GAN!, NeurIPS 2024) for spectrograms.

A relativistic loss compares each real clip with a synthetic one of the same condition. Penalties on
the discriminator's gradients at both make it converge; no layer normalises, and every residual
block starts as the identity.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.generate.base import Curves, Generator, Space
from petl.generate.networks.layers import (
    PATCH,
    Residual,
    clips,
    convolution,
    double,
    from_patches,
    half,
    held,
    picture,
    sizes,
    to_patches,
)

BLOCKS = 2
"""Residual blocks at each size of the maps."""


def _blocks(channels: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(channels) for _ in range(BLOCKS)))


class Maker(nn.Module):
    """The generator's network: learned maps, weighed by latents and condition, then doubled."""

    def __init__(self, space: Space, width: int, latent: int):
        super().__init__()
        self.space = space
        self.condition = nn.Linear(space.conditions, latent)
        self.weigh = nn.Linear(2 * latent, 4 * width)
        self.maps = nn.Parameter(torch.randn(4 * width, *sizes(space)[-1]))
        self.low, self.middle, self.high = map(_blocks, (4 * width, 2 * width, width))
        self.to_middle = convolution(4 * width, 2 * width)
        self.to_high = convolution(2 * width, width)
        self.last = convolution(width, PATCH * PATCH, 3)
        with torch.no_grad():  # the same for all values of a patch, or samples start as a grid
            self.last.weight.copy_(self.last.weight[:1].expand_as(self.last.weight))

    def forward(self, latents: Tensor, conditions: Tensor) -> Tensor:
        high, middle, _ = sizes(self.space)
        weights = self.weigh(torch.cat([latents, self.condition(conditions)], dim=1))
        x = self.low(self.maps * weights[:, :, None, None])
        x = self.middle(double(self.to_middle(x), middle))
        x = self.high(double(self.to_high(x), high))
        return clips(from_patches(self.last(x), self.space))


class Discriminator(nn.Module):
    """A number for each clip; only its difference to another clip's has a meaning."""

    def __init__(self, space: Space, width: int):
        super().__init__()
        self.first = convolution(PATCH * PATCH, width, 3)
        self.high, self.middle, self.low = map(_blocks, (width, 2 * width, 4 * width))
        self.to_middle = convolution(width, 2 * width)
        self.to_low = convolution(2 * width, 4 * width)
        low = sizes(space)[-1]
        self.maps = nn.Parameter(torch.randn(4 * width, *low) / math.sqrt(low[0] * low[1]))
        self.features = nn.Linear(4 * width, 4 * width)
        self.condition = nn.Linear(space.conditions, 4 * width)

    def forward(self, clips: Tensor, conditions: Tensor) -> Tensor:
        x = self.high(self.first(to_patches(picture(clips))))
        x = self.middle(self.to_middle(half(x)))
        x = self.low(self.to_low(half(x)))
        seen = self.features((x * self.maps).sum((2, 3)))
        return (seen * self.condition(conditions)).sum(1) / math.sqrt(seen.shape[1])


class R3GAN(Generator):
    settings: config.R3GAN
    advice = "a larger generator.gamma, or a lower train.lr"

    def __init__(self, space: Space, settings: config.R3GAN):
        networks = {
            "generator": Maker(space, settings.width, settings.latent),
            "discriminator": Discriminator(space, settings.width),
        }
        super().__init__(space, settings, networks, made_by="generator")

    def fit(self, clips: Tensor, conditions: Tensor, draws: torch.Generator) -> Curves:
        self.check(clips, conditions)
        real = self.from_raw(clips)
        latents, others = (self.latents(len(real), draws).to(real.device) for _ in range(2))
        curves = self._discriminator_step(real, conditions, latents)
        curves |= self._generator_step(real, conditions, others)
        self.follow()
        return curves

    def latents(self, clips: int, draws: torch.Generator) -> Tensor:
        return self.noise(clips, (self.settings.latent,), draws)

    def _discriminator_step(self, real: Tensor, conditions: Tensor, latents: Tensor) -> Curves:
        maker, judge = self.networks["generator"], self.networks["discriminator"]
        every = self.settings.penalty_every
        penalised = int(self.followed) % every == 0
        self.optimisers["discriminator"].zero_grad(set_to_none=True)
        total: Curves = {}
        for x, c, z in self.pieces(real, conditions, latents):
            with torch.no_grad():
                made = maker(z, c)
            x, made = x.detach().requires_grad_(penalised), made.requires_grad_(penalised)
            of_real, of_made = judge(x, c), judge(made, c)
            loss = F.softplus(of_made - of_real).mean()
            told = {"loss_discriminator": loss, "right_real": (of_real > of_made).float().mean()}
            if penalised:
                r1, r2 = _squared_gradient(of_real, x), _squared_gradient(of_made, made)
                loss = loss + every * self.settings.gamma / 2 * (r1 + r2)
                told |= {"r1": r1, "r2": r2}
            _add(total, told, len(x) / len(real))
            (loss * len(x) / len(real)).backward()
        return total | {"gradient_discriminator": self.update("discriminator")}

    def _generator_step(self, real: Tensor, conditions: Tensor, latents: Tensor) -> Curves:
        maker, judge = self.networks["generator"], self.networks["discriminator"]
        self.optimisers["generator"].zero_grad(set_to_none=True)
        total: Curves = {}
        with held(judge):
            for x, c, z in self.pieces(real, conditions, latents):
                with torch.no_grad():
                    of_real = judge(x, c)
                loss = F.softplus(of_real - judge(maker(z, c), c)).mean()
                _add(total, {"loss_generator": loss}, len(x) / len(real))
                (loss * len(x) / len(real)).backward()
        return total | {"gradient_generator": self.update("generator")}

    def make(self, conditions: Tensor, draws: torch.Generator) -> Tensor:
        latents = self.latents(len(conditions), draws).to(conditions.device)
        made: Tensor = self.average(latents, conditions)
        return made


def _squared_gradient(scores: Tensor, clips: Tensor) -> Tensor:
    """Of each clip's score at its values, summed over these, the mean over clips."""
    (gradient,) = torch.autograd.grad(scores.sum(), clips, create_graph=True)
    return gradient.square().sum((1, 2)).mean()


def _add(total: Curves, told: Curves, share: float) -> None:
    for name, value in told.items():
        total[name] = total.get(name, 0) + value.detach() * share

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

import torch
from torch import Tensor
from torch.nn import functional as F

from petl import config
from petl.generate.base import Curves, Generator, Space
from petl.generate.networks.gan import DROPOUT, Discriminator, Maker
from petl.generate.networks.layers import held

REACH = 0.95
"""The training clips' lowest and highest values become -0.95 and 0.95, and tanh reaches -1..1."""


class GAN(Generator):
    settings: config.GAN
    advice = "a lower generator.discriminator_lr, or a lower train.lr"

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

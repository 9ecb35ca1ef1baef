"""A masked autoencoder: hidden patches of a spectrogram from those that the encoder sees.

The encoder computes CLS, DIST and the visible patches and nothing else, so with three quarters of
the patches hidden, a step costs about a quarter. A small decoder sees all positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder, Geometry, Layer
from petl.errors import UserError
from petl.methods import init
from petl.train.objectives.base import SelfSupervised, drawn, mean_over

FIXED = 0
"""The seed of what is hidden in the clips held out: the same patches after every epoch."""
TINY = 1e-6
"""Added to a patch's variance: that of digital silence is 0."""


class MaskedPatches(SelfSupervised):
    def __init__(
        self,
        encoder: Encoder,
        settings: config.MaskedPatches,
        statistics: config.Statistics,
        source: str,
    ):
        tokens = encoder.tokens
        if tokens.patch.kernel_size != tokens.patch.stride:
            size, (down, along) = tokens.patch.kernel_size[0], tokens.patch.stride
            raise UserError(
                f"backbone.source: '{source}' has patches of {size} x {size} that overlap, with "
                f"strides {down} and {along}, so the visible ones show what is hidden; "
                "objective 'masked-patches' needs strides as wide as a patch"
            )
        patches = tokens.grid[0] * tokens.grid[1]
        visible = round((1 - settings.hidden) * patches)
        if not 0 < visible < patches:
            what = "all" if not visible else "none"
            share = f"objective.hidden: {settings.hidden:g}"
            raise UserError(f"{share} hides {what} of the {patches} patches of a clip")
        super().__init__(encoder, Decoder(encoder, settings.decoder_layers), statistics)
        self.visible = visible

    def errors(self, clean: Tensor, sound: Tensor) -> Tensor:
        patches = self.patches(clean)
        order = self.order(*patches.shape[:2]).to(clean.device)
        seen, hidden = order[:, : self.visible], order[:, self.visible :]
        given = self.head(self.encode(patches, seen), order).float()[:, -hidden.shape[1] :]
        errors = (given - standardised(taken(patches, hidden))).square().mean(dim=2)
        holds = self.patches(sound[:, :, None].expand_as(clean).to(clean.dtype)).amax(dim=2)
        return mean_over(errors, holds.gather(1, hidden))

    def patches(self, x: Tensor) -> Tensor:
        """(clips, patches, values), in the order of the encoder's tokens."""
        size = self.backbone.tokens.patch.kernel_size
        return F.unfold(x.transpose(1, 2).unsqueeze(1), size, stride=size).transpose(1, 2)

    def order(self, clips: int, patches: int) -> Tensor:
        """The patches of each clip, the visible ones first."""
        if self.training:
            return drawn(clips, patches).argsort(dim=1)
        fixed = torch.Generator().manual_seed(FIXED)
        return torch.rand(clips, patches, generator=fixed).argsort(dim=1)

    def encode(self, patches: Tensor, seen: Tensor) -> Tensor:
        tokens = self.backbone.tokens
        special = tokens.position[:, : tokens.special] + torch.cat([tokens.cls, tokens.dist], dim=1)
        position = tokens.position[0, tokens.special :][seen]
        weight = tokens.patch.weight.flatten(1)
        h = F.linear(taken(patches, seen), weight, tokens.patch.bias) + position
        return self.backbone.encode(torch.cat([special.expand(len(h), -1, -1), h], dim=1))


class Decoder(nn.Module):
    """A few layers, half as wide as the encoder, over all positions; of each hidden one they get a
    learned token."""

    def __init__(self, encoder: Encoder, layers: int):
        super().__init__()
        shape, tokens = encoder.shape, encoder.tokens
        heads = max(1, shape.heads // 2)
        width = heads * max(1, shape.hidden // 2 // heads)
        self.special = tokens.special
        self.narrow = nn.Linear(shape.hidden, width)
        self.token = nn.Parameter(torch.empty(1, 1, width))
        self.position = nn.Parameter(torch.empty(1, tokens.position.shape[1], width))
        small = Geometry(hidden=width, layers=layers, heads=heads, mlp=4 * width, eps=shape.eps)
        self.layers = nn.ModuleList(Layer(small) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=shape.eps)
        self.out = nn.Linear(width, tokens.patch.weight[0].numel())
        init.xavier(*(module for module in self.modules() if isinstance(module, nn.Linear)))
        nn.init.trunc_normal_(self.token, std=0.02)
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, seen: Tensor, order: Tensor) -> Tensor:
        """Patches in this order, the visible ones first."""
        h = self.narrow(seen)
        unseen = order.shape[1] + self.special - h.shape[1]
        h = torch.cat([h, self.token.to(h.dtype).expand(len(h), unseen, -1)], dim=1)
        places = self.position[0, self.special :][order]
        h = h + torch.cat([self.position[:, : self.special].expand(len(h), -1, -1), places], dim=1)
        for layer in self.layers:
            h = layer(h)
        return self.out(self.norm(h[:, self.special :]))


def taken(patches: Tensor, chosen: Tensor) -> Tensor:
    return patches.gather(1, chosen[:, :, None].expand(-1, -1, patches.shape[2]))


def standardised(patches: Tensor) -> Tensor:
    """Each patch to mean 0 and deviation 1."""
    centred = patches - patches.mean(dim=2, keepdim=True)
    return centred / (centred.square().mean(dim=2, keepdim=True) + TINY).sqrt()

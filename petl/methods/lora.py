"""LoRA: a low-rank update beside a frozen projection, W h + scale * B A h."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.methods import init


class LowRank(nn.Module):
    def __init__(self, hidden: int, method: config.LoRA):
        super().__init__()
        rank = max(1, hidden // method.reduction)
        self.scale = method.scale
        self.down = nn.Linear(hidden, rank, bias=False)
        self.up = nn.Linear(rank, hidden, bias=False)
        if method.init == "normal":
            init.normal(self.down, self.up)
        else:
            init.default(self.down)
            init.zero(self.up)

    def forward(self, h: Tensor) -> Tensor:
        return self.up(self.down(h)) * self.scale


class OnProjections(Wrapper):
    """Updates of any of q, k, v."""

    def __init__(self, inner: nn.Module, updates: dict[str, LowRank]):
        super().__init__(inner)
        self.updates = nn.ModuleDict(updates)

    def forward(self, h: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            t + self.updates[name](h) if name in self.updates else t
            for name, t in zip("qkv", self.inner(h), strict=True)
        )


class OnOutput(Wrapper):
    def __init__(self, inner: nn.Module, update: LowRank):
        super().__init__(inner)
        self.update = update

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h) + self.update(h)


def lora(encoder: Encoder, method: config.LoRA) -> None:
    for layer in encoder.bare_layers():
        updates = {t: LowRank(encoder.shape.hidden, method) for t in "qkv" if t in method.targets}
        if updates:
            attach(layer, "qkv", partial(OnProjections, updates=updates))
        if "o" in method.targets:
            attach(layer, "out", partial(OnOutput, update=LowRank(encoder.shape.hidden, method)))

"""Adapters: a small block A beside or behind a branch f, the attention or the feed-forward network.

    parallel      f(h) + A(h)      with residual  f(h) + A(h) + h
    sequential    A(f(h))          with residual  A(f(h)) + f(h)
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder, Wrapper, attach
from petl.methods import init


class Parallel(Wrapper):
    def __init__(self, inner: nn.Module, block: nn.Module, residual: bool):
        super().__init__(inner)
        self.block, self.residual = block, residual

    def forward(self, h: Tensor) -> Tensor:
        out = self.inner(h) + self.block(h)
        return out + h if self.residual else out


class Sequential(Wrapper):
    def __init__(self, inner: nn.Module, block: nn.Module, residual: bool):
        super().__init__(inner)
        self.block, self.residual = block, residual

    def forward(self, h: Tensor) -> Tensor:
        branch = self.inner(h)
        out = self.block(branch)
        return out + branch if self.residual else out


class Bottleneck(nn.Module):
    def __init__(self, hidden: int, block: config.Bottleneck):
        super().__init__()
        narrow = max(1, hidden // block.reduction)
        self.down = nn.Linear(hidden, narrow)
        self.up = nn.Linear(narrow, hidden)
        init.normal(self.down, self.up)
        if block.init == "zero-up":
            init.zero(self.up)

    def forward(self, h: Tensor) -> Tensor:
        return self.up(F.gelu(self.down(h)))


class Conformer(nn.Module):
    """The conformer's convolution module, narrow: pointwise and gate, depthwise over the tokens, pointwise.

    On the AST the released code computes the LayerNorm and throws the result away; its parameters
    are counted and never change. `layer_norm: ignored` keeps that, without computing it.
    """

    def __init__(self, hidden: int, block: config.Conformer):
        super().__init__()
        narrow = max(1, hidden // block.reduction)
        self.kernel, self.normalises = block.kernel, block.layer_norm == "applied"
        self.norm = nn.LayerNorm(hidden)
        self.gated = nn.Conv1d(hidden, 2 * narrow, 1)
        self.depthwise = nn.Conv1d(narrow, narrow, block.kernel, groups=narrow)
        self.batch_norm = nn.BatchNorm1d(narrow)
        self.up = nn.Conv1d(narrow, hidden, 1)
        init.default(self.gated, self.depthwise, self.up)
        if block.init == "zero-up":
            init.zero(self.up)

    def forward(self, h: Tensor) -> Tensor:
        if self.normalises:
            h = self.norm(h)
        x = F.glu(self.gated(h.transpose(1, 2)), dim=1)
        # "same" padding: an even kernel takes the odd one on the right
        x = self.depthwise(F.pad(x, ((self.kernel - 1) // 2, self.kernel // 2)))
        x = F.silu(self.batch_norm(x))
        return self.up(x).transpose(1, 2)


COMPOSITIONS = {"parallel": Parallel, "sequential": Sequential}
BLOCKS = {"bottleneck": Bottleneck, "conformer": Conformer}
PLACES = {"pfeiffer": ("ffn",), "houlsby": ("attention", "ffn")}


def adapter(encoder: Encoder, method: config.Adapter) -> None:
    """The LayerNorm that an adapted branch reads trains as well."""
    compose, make = COMPOSITIONS[method.composition], BLOCKS[method.block.kind]
    for layer in encoder.bare_layers():
        for place in PLACES[method.placement]:
            block = make(encoder.shape.hidden, method.block)
            attach(layer, place, partial(compose, block=block, residual=method.residual))
            getattr(layer, f"norm_{place}").requires_grad_(True)

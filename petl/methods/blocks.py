"""The small networks of adapters and mixtures, narrow in the middle: h -> A(h)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.boxes import LINE, TIMES, Box, boxes_of, frame, leaf, steps, total
from petl.backbones.encoder import Encoder, unwrap
from petl.backbones.lean import project
from petl.errors import UserError
from petl.methods import init


def width(hidden: int, reduction: int) -> int:
    return max(1, round(hidden / reduction))


class Bottleneck(nn.Module):
    def __init__(self, hidden: int, block: config.Bottleneck):
        super().__init__()
        narrow = width(hidden, block.reduction)
        self.down = nn.Linear(hidden, narrow)
        self.up = nn.Linear(narrow, hidden)
        init.normal(self.down, self.up)
        if block.init == "zero-up":
            init.zero(self.up)

    def forward(self, h: Tensor) -> Tensor:
        return self.up(F.gelu(project(h, self.down.weight, self.down.bias)))

    def boxes(self, name: str) -> Box:
        down, up = boxes_of(self.down, "down"), boxes_of(self.up, "up")
        return frame("Bottleneck", down, Box("GELU", "op"), up)


class Conformer(nn.Module):
    """The conformer's convolution module, narrow: pointwise and gated, depthwise, pointwise.

    On the AST the released code computes the LayerNorm and does not use the result; its parameters
    count as trained and never change. `layer_norm: ignored` does the same without computing it.
    """

    def __init__(self, hidden: int, block: config.Conformer, grid: tuple[int, int] | None):
        super().__init__()
        narrow = width(hidden, block.reduction)
        self.normalises = block.layer_norm == "applied"
        self.norm = nn.LayerNorm(hidden)
        self.gated = nn.Conv1d(hidden, 2 * narrow, 1)
        self.depthwise = depthwise(narrow, block, grid)
        self.batch_norm = nn.BatchNorm1d(narrow)
        self.up = nn.Conv1d(narrow, hidden, 1)
        _start(block)(self.gated, self.up)
        if block.init == "zero-up":
            init.zero(self.up)

    def forward(self, h: Tensor) -> Tensor:
        if self.normalises:
            h = self.norm(h)
        # pointwise convolutions as matrix products: they need no transpose of the tokens
        x = F.glu(project(h, self.gated.weight.squeeze(-1), self.gated.bias), dim=-1)
        x = F.silu(self.batch_norm(self.depthwise(x.transpose(1, 2))))
        return F.linear(x.transpose(1, 2).contiguous(), self.up.weight.squeeze(-1), self.up.bias)

    def boxes(self, name: str) -> Box:
        hidden, narrow = self.up.out_channels, self.up.in_channels
        convolve = steps(
            leaf(self.gated, "pointwise", f"{hidden} → 2 {TIMES} {narrow}"),
            Box("GLU", "op"),
            leaf(self.depthwise, "depthwise", kernel_of(self.depthwise)),
            leaf(self.batch_norm, "BatchNorm"),
            Box("SiLU", "op"),
            leaf(self.up, "pointwise", f"{narrow} → {hidden}"),
        )
        if self.normalises:
            return frame("Conformer", boxes_of(self.norm), convolve)
        unused = replace(boxes_of(self.norm), kind="idle", note="unused")
        return frame("Conformer", total(convolve, unused))


def _start(block: config.Conformer) -> Callable[..., None]:
    return init.kaiming if block.init == "kaiming" else init.default


def depthwise(narrow: int, block: config.Conformer, grid: tuple[int, int] | None) -> nn.Module:
    """One filter per channel."""
    conv = (Same2d if block.convolution == "grid" else Same1d)(narrow, narrow, block.kernel)
    _start(block)(conv)
    if block.convolution == "flattened":
        return conv
    if grid is None:
        raise UserError(
            f"method.block.convolution: '{block.convolution}' needs patches in rows and columns; "
            "this backbone has tokens in a line, so use 'flattened'"
        )
    return OnRows(conv, grid) if block.convolution == "rows" else OnGrid(conv, grid)


class Same1d(nn.Conv1d):
    """Output as long as the input; an even kernel is padded by one more on the right.

    PyTorch's own padding="same" prints a warning for every even kernel.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__(inputs, outputs, kernel, padding=(kernel - 1) // 2, groups=inputs)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1)) if self.kernel_size[0] % 2 == 0 else x)


class Same2d(nn.Conv2d):
    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__(inputs, outputs, kernel, padding=(kernel - 1) // 2, groups=inputs)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.kernel_size[0] % 2 == 0 else x)


class OnRows(nn.Module):
    """Along time within each row of patches; a special token is a row of its own."""

    def __init__(self, conv: nn.Module, grid: tuple[int, int]):
        super().__init__()
        self.conv, self.grid = conv, grid

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.grid
        special, patches = x.split([x.shape[2] - rows * columns, rows * columns], dim=2)
        return torch.cat([self._along(special, 1), self._along(patches, columns)], dim=2)

    def _along(self, x: Tensor, columns: int) -> Tensor:
        rows = x.unflatten(2, (-1, columns)).transpose(1, 2)
        out = self.conv(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
        return out.transpose(1, 2).flatten(2)


class OnGrid(nn.Module):
    """Over frequency and time; a special token is a grid of its own."""

    def __init__(self, conv: nn.Module, grid: tuple[int, int]):
        super().__init__()
        self.conv, self.grid = conv, grid

    def forward(self, x: Tensor) -> Tensor:
        size = self.grid[0] * self.grid[1]
        special, patches = x.split([x.shape[2] - size, size], dim=2)
        alone = self.conv(special.transpose(1, 2).flatten(0, 1)[..., None, None])
        alone = alone.unflatten(0, (len(x), -1)).flatten(2).transpose(1, 2)
        return torch.cat([alone, self.conv(patches.unflatten(2, self.grid)).flatten(2)], dim=2)


class Convpass(nn.Module):
    """A convolution over neighbouring tokens between two pointwise maps, QuickGELU around it."""

    def __init__(self, hidden: int, block: config.Convpass):
        super().__init__()
        narrow = width(hidden, block.reduction)
        self.convolves = block.convolution == "used"
        self.down = nn.Linear(hidden, narrow)
        self.conv = nn.Conv1d(narrow, narrow, 3, padding=1)
        self.up = nn.Linear(narrow, hidden)
        self.dropout = nn.Dropout(block.dropout) if block.dropout else nn.Identity()
        init.xavier(self.down, self.conv)
        if block.init == "zero-up":
            init.zero(self.up)
        else:
            init.normal(self.down, self.up)

    def forward(self, h: Tensor) -> Tensor:
        x = quick_gelu(project(h, self.down.weight, self.down.bias))
        if self.convolves:
            x = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return self.up(self.dropout(quick_gelu(x)))

    def boxes(self, name: str) -> Box:
        gelu, down, up = (
            Box("QuickGELU", "op"),
            boxes_of(self.down, "down"),
            boxes_of(self.up, "up"),
        )
        conv = leaf(self.conv, "convolution", kernel_of(self.conv))
        if not self.convolves:
            conv = total(LINE, replace(conv, kind="idle", note="unused"))
        return frame("Convpass", down, gelu, conv, gelu, up)


def kernel_of(conv: nn.Module) -> str:
    return "kernel " + f" {TIMES} ".join(map(str, getattr(conv, "conv", conv).kernel_size))


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def make(
    encoder: Encoder, block: config.Bottleneck | config.Conformer | config.Convpass
) -> nn.Module:
    hidden = encoder.shape.hidden
    if isinstance(block, config.Conformer):
        return Conformer(hidden, block, getattr(unwrap(encoder.tokens), "grid", None))
    kind = {"bottleneck": Bottleneck, "convpass": Convpass}[block.kind]
    return kind(hidden, block)

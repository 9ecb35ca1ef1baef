"""One transformer encoder for every backbone, with named places where a method may attach.

A place is an attribute that holds a module; a method puts a Wrapper there, which calls what stood
there before. Wrappers stack, so methods combine, and no method repeats a layer's forward.

    place       the module there                          signature
    ---------   ---------------------------------------   ----------------
    attention   the self-attention branch of a layer      h -> h
    ffn         the feed-forward branch of a layer        h -> h
    qkv         the projections inside attention          h -> (q, k, v)
    out         the projection that ends attention        h -> h
    layer       a whole layer                             h -> h
    tokens      the embeddings before the first layer     input -> h
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl.backbones.attention import attend
from petl.backbones.boxes import LINE, Box, Triple, added, boxes_of, frame, leaf, meet, steps, total
from petl.backbones.lean import checkpoint


@dataclass(frozen=True)
class Dropout:
    """Rates while training: of the tokens' features, of what attention, its weights and the inside
    of the feed-forward network put out, and of whole layers."""

    features: float = 0.0
    hidden: float = 0.0
    attention: float = 0.0
    activation: float = 0.0
    layer: float = 0.0


@dataclass(frozen=True)
class Geometry:
    """The numbers that shape an encoder; `eps` is the LayerNorms'."""

    hidden: int
    layers: int
    heads: int
    mlp: int
    eps: float
    norm: Literal["pre", "post"] = "pre"
    qkv_bias: bool = True
    dropout: Dropout = Dropout()


@dataclass(frozen=True)
class Origin:
    """What of a checkpoint an encoder took, left out and did not find.

    `dropped` counts tensors by the first part of their names, `new` is what the checkpoint does not
    fill. `grids` are the patches (rows, columns) of the checkpoint and of the encoder.
    """

    layout: str
    taken: int
    dropped: dict[str, int]
    new: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    grids: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        dropped = ", ".join(f"{name} ({count})" for name, count in self.dropped.items())
        sizes = [f"{rows} x {columns}" for rows, columns in self.grids]
        parts = [
            f"layout {self.layout}",
            f"{self.taken} tensors taken",
            f"dropped: {dropped or 'none'}",
            f"new: {', '.join(self.new) or 'none'}",
            *([f"patches {' -> '.join(dict.fromkeys(sizes))}"] if sizes else []),
            *self.notes,
        ]
        return "; ".join(parts)


class Wrapper(nn.Module):
    """Stands in a place and calls the module that stood there before."""

    label = ""
    """What a drawing calls it; by default the name of its class."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def boxes(self, name: str) -> Box:
        return steps(boxes_of(self.inner, name), self.own_box())

    def qkv_boxes(self) -> Triple:
        return tuple(steps(box, self.own_box(share=3)) for box in self.inner.qkv_boxes())

    def own_box(self, share: int = 1) -> Box:
        """One box for what it adds, or for a share of that."""
        own = [p.numel() for key, p in self.named_parameters() if not key.startswith("inner.")]
        return added(Box(self.label or type(self).__name__, trained=sum(own) // share))


class Projections(nn.Module):
    """Queries, keys and values from one matrix product."""

    def __init__(self, hidden: int, bias: bool):
        super().__init__()
        self.linear = nn.Linear(hidden, 3 * hidden, bias=bias)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.linear(h).chunk(3, dim=-1)
        return q, k, v

    def qkv_boxes(self) -> Triple:
        whole = leaf(self.linear, "")
        third = replace(whole, trained=whole.trained // 3, frozen=whole.frozen // 3)
        return tuple(replace(third, name=name) for name in "qkv")


class Attention(nn.Module):
    def __init__(self, shape: Geometry):
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.qkv: nn.Module = Projections(shape.hidden, shape.qkv_bias)
        self.out: nn.Module = nn.Linear(shape.hidden, shape.hidden)

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(h))
        h = attend(q, k, v, self.dropout.attention if self.training else 0.0)
        return drop(self.out(h.transpose(1, 2).flatten(2)), self.dropout.hidden, self.training)

    def boxes(self, name: str) -> Box:
        mixed = meet("softmax(q kᵀ / √d) v", *self.qkv.qkv_boxes())
        return frame("Attention", mixed, boxes_of(self.out, "out"))


def drop(h: Tensor, rate: float, training: bool) -> Tensor:
    return F.dropout(h, rate) if rate and training else h


class FeedForward(nn.Module):
    def __init__(self, shape: Geometry):
        super().__init__()
        self.up = nn.Linear(shape.hidden, shape.mlp)
        self.down = nn.Linear(shape.mlp, shape.hidden)
        self.dropout = shape.dropout

    def forward(self, h: Tensor) -> Tensor:
        inside = drop(F.gelu(self.up(h)), self.dropout.activation, self.training)
        return drop(self.down(inside), self.dropout.hidden, self.training)

    def boxes(self, name: str) -> Box:
        up, down = boxes_of(self.up, "up"), boxes_of(self.down, "down")
        return frame("Feed-forward", up, Box("GELU", "op"), down)


class Layer(nn.Module):
    def __init__(self, shape: Geometry):
        super().__init__()
        self.pre_norm = shape.norm == "pre"
        self.norm_attention = nn.LayerNorm(shape.hidden, eps=shape.eps)
        self.attention: nn.Module = Attention(shape)
        self.norm_ffn = nn.LayerNorm(shape.hidden, eps=shape.eps)
        self.ffn: nn.Module = FeedForward(shape)

    def forward(self, h: Tensor) -> Tensor:
        if self.pre_norm:
            h = h + self.attention(self.norm_attention(h))
            return h + self.ffn(self.norm_ffn(h))
        h = self.norm_attention(h + self.attention(h))
        return self.norm_ffn(h + self.ffn(h))

    def boxes(self, name: str) -> Box:
        attention, ffn = boxes_of(self.attention), boxes_of(self.ffn)
        first, second = boxes_of(self.norm_attention), boxes_of(self.norm_ffn)
        if self.pre_norm:
            return steps(total(LINE, steps(first, attention)), total(LINE, steps(second, ffn)))
        return steps(total(LINE, attention), first, total(LINE, ffn), second)


class Encoder(nn.Module):
    """Embeddings, layers, final norm. A backbone gives the embeddings and its weights' names.

    Layers that end in their own norm (post-norm) need no final one.
    """

    def __init__(self, shape: Geometry, tokens: nn.Module):
        super().__init__()
        self.shape = shape
        self.tokens = tokens
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        final = shape.norm == "pre"
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.eps) if final else nn.Identity()
        self.layer_checkpointing = False
        self.origin: Origin | None = None
        """Set where weights were loaded."""

    @property
    def special(self) -> int:
        """How many tokens come before those of the input, such as CLS."""
        return int(unwrap(self.tokens).special)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(self.tokens(x))

    def encode(self, h: Tensor) -> Tensor:
        return self.norm(self.above(h, 0))

    def below(self, x: Tensor, layer: int) -> Tensor:
        """The tokens that enter a layer; for `shape.layers`, those that leave the last one."""
        return self._through(self.tokens(x), 0, layer)

    def above(self, h: Tensor, layer: int) -> Tensor:
        """What the layers from this one on make of such tokens, before the final norm."""
        return self._through(h, layer, len(self.layers))

    def _through(self, h: Tensor, first: int, end: int) -> Tensor:
        for layer in self.layers[first:end]:
            if not self._skips():
                h = checkpoint(layer, h) if self.layer_checkpointing else layer(h)
        return h

    def _skips(self) -> bool:
        rate = self.shape.dropout.layer
        return self.training and rate > 0 and torch.rand(()).item() < rate

    def bare_layers(self) -> Iterator[Layer]:
        """The layers themselves, without their wrappers."""
        for layer in self.layers:
            bare = unwrap(layer)
            assert isinstance(bare, Layer)
            yield bare


Wrap = Callable[[nn.Module], Wrapper]


def attach(layer: Layer, place: Literal["attention", "ffn", "qkv", "out"], wrap: Wrap) -> None:
    """Put a wrapper into a place of one layer, around the module that is there now."""
    owner = layer if place in ("attention", "ffn") else unwrap(layer.attention)
    setattr(owner, place, wrap(getattr(owner, place)))


def attach_layer(encoder: Encoder, index: int, wrap: Wrap) -> None:
    encoder.layers[index] = wrap(encoder.layers[index])


def attach_tokens(encoder: Encoder, wrap: Wrap) -> None:
    encoder.tokens = wrap(encoder.tokens)


def unwrap(module: nn.Module) -> nn.Module:
    while isinstance(module, Wrapper):
        module = module.inner
    return module

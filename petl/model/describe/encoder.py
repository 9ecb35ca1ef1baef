"""The encoder's own modules in boxes; of others `flow` and `triple` learn in methods.py."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

from torch import nn

from petl.backbones.encoder import Attention, FeedForward, Layer, Projections, Wrapper
from petl.backbones.patches import PatchTokens
from petl.backbones.wav2vec2 import WaveTokens
from petl.model.describe.boxes import LINE, TIMES, Box, added, frame, meet, steps, tokens, total


def leaf(module: nn.Module, name: str, note: str = "", kind: str = "map") -> Box:
    """One box for all that is in a module; `which` of it trains, if not the whole."""
    parameters = dict(module.named_parameters())
    trained = {name: p.numel() for name, p in parameters.items() if p.requires_grad}
    count, all_of_it = sum(trained.values()), sum(p.numel() for p in parameters.values())
    which = ", ".join(trained) if 0 < count < all_of_it else ""
    return Box(name, kind, note, trained=count, frozen=all_of_it - count, which=which)


def vector(parameter: nn.Parameter, name: str, note: str = "") -> Box:
    return added(Box(name, "vector", note, trained=parameter.numel()))


@singledispatch
def flow(module: nn.Module, name: str = "") -> Box:
    """From what a module reads to what it puts out; what nobody described is named and counted."""
    return leaf(module, name or type(module).__name__)


@singledispatch
def triple(module: nn.Module) -> tuple[Box, Box, Box]:
    """The same for what stands in `qkv`: the way of the queries, of the keys, of the values."""
    raise TypeError(f"{type(module).__name__} does not make queries, keys and values")


@flow.register
def _(module: Wrapper, name: str = "") -> Box:
    own = [p for key, p in module.named_parameters() if not key.startswith("inner.")]
    count = sum(p.numel() for p in own)
    return steps(flow(module.inner, name), added(Box(type(module).__name__, trained=count)))


@flow.register
def _(module: nn.Linear, name: str = "") -> Box:
    return leaf(module, name, f"{module.in_features:,} → {module.out_features:,}")


@flow.register
def _(module: nn.LayerNorm, name: str = "") -> Box:
    return leaf(module, "LayerNorm", kind="norm")


@flow.register
def _(module: nn.Identity, name: str = "") -> Box:
    return LINE


@flow.register
def _(module: PatchTokens, name: str = "") -> Box:
    size = f" {TIMES} ".join(map(str, module.patch.kernel_size))
    special = [Box(name.upper()) for name in module.special_names]
    return steps(leaf(module, "Embeddings", f"patches of {size}"), tokens(*special))


@flow.register
def _(module: WaveTokens, name: str = "") -> Box:
    return steps(leaf(module, "Embeddings", "of a waveform"), tokens(rest="frames, 20 ms each"))


@flow.register
def _(module: Layer, name: str = "") -> Box:
    attention, ffn = flow(module.attention), flow(module.ffn)
    first, second = flow(module.norm_attention), flow(module.norm_ffn)
    if module.pre_norm:
        return steps(total(LINE, steps(first, attention)), total(LINE, steps(second, ffn)))
    return steps(total(LINE, attention), first, total(LINE, ffn), second)


@flow.register
def _(module: Attention, name: str = "") -> Box:
    mixed = meet("softmax(q kᵀ / √d) v", *triple(module.qkv))
    return frame("Attention", mixed, flow(module.out, "out"))


@flow.register
def _(module: FeedForward, name: str = "") -> Box:
    gelu = Box("GELU", "op")
    return frame("Feed-forward", flow(module.up, "up"), gelu, flow(module.down, "down"))


@triple.register
def _(module: Projections) -> tuple[Box, Box, Box]:
    whole = leaf(module.linear, "")
    third = replace(whole, trained=whole.trained // 3, frozen=whole.frozen // 3)
    return replace(third, name="q"), replace(third, name="k"), replace(third, name="v")

"""What methods put around the encoder's modules, in boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from petl.methods.adapter import Before, Parallel, Sequential
from petl.methods.blocks import Bottleneck, Conformer, Convpass
from petl.methods.dora import OnOutput as DoRAOnOutput
from petl.methods.dora import OnProjections as DoRAOnProjections
from petl.methods.dora import Turned
from petl.methods.gate import InputGate, ScalarGate
from petl.methods.gradual import Cut
from petl.methods.ia3 import ScaleInside, ScaleKeysValues
from petl.methods.lora import OnOutput as LoRAOnOutput
from petl.methods.lora import OnProjections as LoRAOnProjections
from petl.methods.lora import Update
from petl.methods.moa import AddKept, Dense, Soft
from petl.methods.prefix import InsertKeysValues
from petl.methods.prompt import InsertBefore, InsertPrompts, RenewPrompts
from petl.methods.ssf import ScaleShift
from petl.model.describe.boxes import (
    LINE,
    TIMES,
    Box,
    added,
    frame,
    meet,
    scaled,
    steps,
    tokens,
    total,
)
from petl.model.describe.encoder import flow, leaf, triple, vector

Triple = tuple[Box, ...]

# --- prompts, prefixes and schedules --------------------------------------------------------------


def _prompts(module: InsertPrompts | RenewPrompts) -> Box:
    count = module.prompts.shape[1]
    return tokens(Box("CLS"), replace(vector(module.prompts, f"{count} prompts"), times=count))


@flow.register
def _(module: InsertPrompts, name: str = "") -> Box:
    return steps(flow(module.inner), _prompts(module))


@flow.register(InsertBefore)
@flow.register(RenewPrompts)
def _(module: InsertBefore | RenewPrompts, name: str = "") -> Box:
    return steps(_prompts(module), flow(module.inner))


@triple.register
def _(module: InsertKeysValues) -> Triple:
    q, k, v = triple(module.inner)
    count = module.keys.shape[1]
    keys, values = vector(module.keys, f"{count} keys"), vector(module.values, f"{count} values")
    return q, steps(k, keys), steps(v, values)


@flow.register
def _(module: Cut, name: str = "") -> Box:
    return flow(module.inner)


# --- adapters and mixtures ------------------------------------------------------------------------


@flow.register
def _(module: Parallel, name: str = "") -> Box:
    more = (LINE,) if module.residual else ()
    return total(flow(module.inner, name), added(flow(module.block)), *more)


@flow.register
def _(module: Sequential, name: str = "") -> Box:
    block = added(flow(module.block))
    return steps(flow(module.inner, name), total(LINE, block) if module.residual else block)


@flow.register
def _(module: Before, name: str = "") -> Box:
    inner = flow(module.inner, name)
    return steps(added(flow(module.block)), total(LINE, inner) if module.residual else inner)


@flow.register
def _(module: AddKept, name: str = "") -> Box:
    return total(flow(module.inner, name), Box("what the attention's mixture added", "again"))


@flow.register
def _(module: Bottleneck, name: str = "") -> Box:
    return frame("Bottleneck", flow(module.down, "down"), Box("GELU", "op"), flow(module.up, "up"))


@flow.register
def _(module: Conformer, name: str = "") -> Box:
    norm, hidden = flow(module.norm), module.up.out_channels
    narrow = module.up.in_channels
    convolve = steps(
        leaf(module.gated, "pointwise", f"{hidden} → 2 {TIMES} {narrow}"),
        Box("GLU", "op"),
        leaf(module.depthwise, "depthwise", f"kernel {_kernel(module.depthwise)}"),
        leaf(module.batch_norm, "BatchNorm"),
        Box("SiLU", "op"),
        leaf(module.up, "pointwise", f"{narrow} → {hidden}"),
    )
    if module.normalises:
        return frame("Conformer", norm, convolve)
    return frame("Conformer", total(convolve, replace(norm, kind="idle", note="unused")))


def _kernel(depthwise: nn.Module) -> str:
    conv = getattr(depthwise, "conv", depthwise)
    return f" {TIMES} ".join(map(str, conv.kernel_size))


@flow.register
def _(module: Convpass, name: str = "") -> Box:
    gelu = Box("QuickGELU", "op")
    conv = leaf(module.conv, "convolution", f"kernel {_kernel(module.conv)}")
    if not module.convolves:
        conv = total(LINE, replace(conv, kind="idle", note="unused"))
    return frame("Convpass", flow(module.down, "down"), gelu, conv, gelu, flow(module.up, "up"))


def _experts(module: Dense | Soft) -> Box:
    count = len(module.experts)
    return replace(scaled(flow(module.experts[0]), count), name=f"{count} experts", times=count)


@flow.register
def _(module: Dense, name: str = "") -> Box:
    router = flow(module.router, "router")
    mixed = meet("experts, weighed for each token", _experts(module), router)
    return frame("Dense-MoA", mixed)


@flow.register
def _(module: Soft, name: str = "") -> Box:
    experts, each = module.slots.shape[1:]
    slots = vector(module.slots, "slots", f"{experts} {TIMES} {each} means of tokens")
    scale = [vector(module.scale, "scale")] if hasattr(module, "scale") else []
    back = Box("each token a mean of slots", "op")
    return frame("Soft-MoA", *scale, slots, _experts(module), back)


@flow.register
def _(module: ScalarGate, name: str = "") -> Box:
    return steps(flow(module.block), vector(module.gate, "gate", f"{TIMES} g"))


@flow.register
def _(module: InputGate, name: str = "") -> Box:
    return meet(f"gate {TIMES} block", flow(module.block), leaf(module.gate, "gate", "2 sigmoid"))


# --- what is learned beside a weight --------------------------------------------------------------


def _updated(box: Box, update: Update) -> Box:
    scale = Box(f"{TIMES} {update.scale:g}", "op")
    return total(box, added(frame("LoRA", flow(update.down, "A"), flow(update.up, "B"), scale)))


def _turned(box: Box, module: Turned) -> Box:
    length = vector(module.length, "length", "of each row")
    return steps(_updated(box, module.update), length)


def _shifted(module: ScaleShift, share: int = 1) -> Box:
    count = (module.scale.numel() + module.shift.numel()) // share
    return added(Box("⊙ scale + shift", "vector", trained=count))


def _for_each(boxes: Triple, own: nn.ModuleDict, join: Callable[[Box, Any], Box]) -> Triple:
    pairs = zip("qkv", boxes, strict=True)
    return tuple(join(box, own[name]) if name in own else box for name, box in pairs)


@triple.register
def _(module: LoRAOnProjections) -> Triple:
    return _for_each(triple(module.inner), module.updates, _updated)


@flow.register
def _(module: LoRAOnOutput, name: str = "") -> Box:
    return _updated(flow(module.inner, name), module.update)


@triple.register
def _(module: DoRAOnProjections) -> Triple:
    return _for_each(triple(module.inner), module.turned, _turned)


@flow.register
def _(module: DoRAOnOutput, name: str = "") -> Box:
    return _turned(flow(module.inner, name), module.turned)


@flow.register
def _(module: ScaleShift, name: str = "") -> Box:
    return steps(flow(module.inner, name), _shifted(module))


@triple.register
def _(module: ScaleShift) -> Triple:
    return tuple(steps(box, _shifted(module, share=3)) for box in triple(module.inner))


@triple.register
def _(module: ScaleKeysValues) -> Triple:
    q, k, v = triple(module.inner)
    return q, steps(k, vector(module.keys, "⊙ keys")), steps(v, vector(module.values, "⊙ values"))


@flow.register
def _(module: ScaleInside, name: str = "") -> Box:
    return steps(vector(module.inside, "⊙ inside"), flow(module.inner, name))

"""The paper's released code: its flags become our task, its tensors our model.

Its names follow the library's (`model.encoder.layer.0...`), with the new modules put in between. Ours,
less the `inner` of wrappers, map onto them one to one, except that it keeps queries, keys and values
apart and stacks the deep prompts of all layers in one tensor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from petl import backbones, config, methods
from petl.backbones import ast
from petl.errors import UserError
from petl.model import Model

Names = dict[str, tuple[str, ...]]

_BLOCKS = {
    "bottleneck": {"down": "linear_downsample", "up": "linear_upsample"},
    "conformer": {
        "norm": "lnorm",
        "gated": "pwise_conv1",
        "depthwise": "dwise_conv",
        "batch_norm": "bnorm",
        "up": "pwise_conv2",
    },
}


def method_of(flags: dict[str, Any]) -> config.Method:
    """Their flags, in our words."""
    name = flags["method"]
    if name in ("full-FT", "linear", "BitFit"):
        simple = {"full-FT": config.Full, "linear": config.Linear, "BitFit": config.BitFit}
        family = {"full-FT": "full", "linear": "linear", "BitFit": "bitfit"}[name]
        return simple[name](family=family)
    if name == "prompt-tuning":
        depth = "deep" if flags["is_deep_prompt"] else "shallow"
        return config.Prompt(family="prompt", depth=depth, length=flags["prompt_len_prompt"])
    if name == "prefix-tuning":
        return config.Prefix(family="prefix", length=flags["prompt_len_pt"])
    if name in ("LoRA", "LoRA-ablation"):
        targets = [t[1] for t in flags.get("lora_config", "Wq,Wv").split(",")]
        reduction = flags["reduction_rate_lora"]
        scale = flags["alpha_lora"] / reduction
        return config.LoRA(
            family="lora", reduction=reduction, targets=targets, scale=scale, init="normal"
        )
    if name == "adapter":
        return config.Adapter(
            family="adapter",
            block=_block_of(flags),
            placement=flags["adapter_type"].lower(),
            composition=flags["seq_or_par"],
            residual=flags["apply_residual"],
        )
    raise UserError(f"the released code's method '{name}' cannot be taken over yet")


def _block_of(flags: dict[str, Any]) -> config.Bottleneck | config.Conformer:
    reduction = flags["reduction_rate_adapter"]
    if flags["adapter_block"] == "bottleneck":
        return config.Bottleneck(kind="bottleneck", reduction=reduction, init="normal")
    return config.Conformer(
        kind="conformer",
        reduction=reduction,
        kernel=flags["kernel_size"],
        layer_norm="ignored",
        init="default",
    )


def load_model(
    state: dict[str, Tensor], flags: dict[str, Any], backbone: str, max_length: int, num_classes: int
) -> Model:
    """Our model with their weights; `state` may leave out what the backbone folder has."""
    pooling = flags["final_output"].lower()
    settings = config.Backbone(
        family="ast", source=backbone, position_embeddings="zeros", pooling=pooling
    )
    encoder = backbones.build(settings, max_length)
    method = method_of(flags)
    methods.apply(encoder, method)
    prompts = method.length if isinstance(method, config.Prompt) else 0
    model = Model(encoder, pooling, prompts, encoder.shape.hidden, num_classes)
    _fill(model, flags, {name.removeprefix("model."): tensor for name, tensor in state.items()})
    return model


def their_names(model: Model, flags: dict[str, Any]) -> Names:
    """Our parameter or buffer -> theirs, in the order they stack; without their `model.` prefix."""
    table = {f"backbone.{ours}": theirs for ours, theirs in ast.names(model.backbone.shape.layers).items()}
    table |= {f"head.{end}": (f"classification_head.{end}",) for end in ("weight", "bias")}
    return {
        name: table.get(plain(name)) or (_new_name(plain(name), flags),) for name in model.state_dict()
    }


def plain(name: str) -> str:
    """The name as if nothing were wrapped."""
    return name.replace(".inner", "")


def _new_name(name: str, flags: dict[str, Any]) -> str:
    """Their name for a tensor that a method added."""
    parts = name.split(".")[1:]
    if parts[0] == "tokens":
        return "prompt_embeddings"
    layer, rest = f"encoder.layer.{parts[1]}", parts[2:]
    match rest:
        case ["prompts"]:
            return f"deep_prompt_embeddings[{int(parts[1]) - 1}]"
        case [("attention" | "ffn") as place, "block", module, end]:
            where = {"attention": "MHSA", "ffn": "FFN"}[place]
            theirs = _BLOCKS[flags["adapter_block"]][module]
            return f"{layer}.adapter_module_{where}.{theirs}.{end}"
        case ["attention", "qkv", ("keys" | "values") as which]:
            return f"{layer}.attention.attention.{which[:-1]}_tokens"
        case ["attention", "qkv", "updates", target, ("down" | "up") as side, end]:
            target = target.upper() if flags["method"] == "LoRA-ablation" else target
            return f"{layer}.attention.attention.lora_{side}_{target}.{end}"
        case ["attention", "out", "update", ("down" | "up") as side, end]:
            return f"{layer}.attention.output.lora_{side}_O.{end}"
    raise KeyError(name)


@torch.no_grad()
def _fill(model: Model, flags: dict[str, Any], state: dict[str, Tensor]) -> None:
    state = dict(state)
    for i, rows in enumerate(state.pop("deep_prompt_embeddings", [])):
        state[f"deep_prompt_embeddings[{i}]"] = rows[None]
    own, taken = model.state_dict(), set()
    for name, theirs in their_names(model, flags).items():
        given = [other for other in theirs if other in state]
        if not given:
            continue
        parts = own[name].chunk(len(theirs)) if len(theirs) > 1 else [own[name]]
        for part, other in zip(parts, theirs, strict=True):
            if other in state:  # what they leave out is the backbone's, and stays
                part.copy_(state[other])
        taken |= set(given)
    if unknown := sorted(state.keys() - taken):
        raise UserError(f"the checkpoint holds {len(unknown)} tensors without a place: {unknown[:5]}")

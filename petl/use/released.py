"""The paper's released code: its flags become our settings, its tensors our model's.

Its tensor names are the library's (`model.encoder.layer.0...`) plus those of its new modules. Ours
without the `inner` of wrappers map to them one to one, with two exceptions: there, queries, keys
and values are separate, and the deep prompts of all layers are one tensor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from petl import config
from petl.backbones.families import build_encoder, naming_of
from petl.backbones.naming import fill as fill_tensors
from petl.errors import UserError
from petl.methods.apply import apply_method
from petl.model.build import Model
from petl.model.head import build_head

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
    "convpass": {"down": "adapter_down", "conv": "adapter_conv", "up": "adapter_up"},
}
_PLACEMENT = {"MHSA": ("attention",), "FFN": ("ffn",)}


def method_of(flags: dict[str, Any]) -> config.Method:
    """The settings that the flags of a method mean."""
    waves = family_of(flags) == "wav2vec2"
    match flags["method"]:
        case "linear":
            return config.Linear(family="linear")
        case "BitFit":
            return config.BitFit(family="bitfit")
        case "full-FT":
            return config.Full(family="full", layers=3) if waves else config.Full(family="full")
        case "prompt-tuning":
            depth = "deep" if flags["is_deep_prompt"] else "shallow"
            return config.Prompt(family="prompt", depth=depth, length=flags["prompt_len_prompt"])
        case "prefix-tuning":
            return config.Prefix(family="prefix", length=flags["prompt_len_pt"])
        case "LoRA" | "LoRA-ablation":
            reduction = flags["reduction_rate_lora"]
            return config.LoRA(
                family="lora",
                reduction=reduction,
                targets=[target[1] for target in flags.get("lora_config", "Wq,Wv").split(",")],
                scale=flags["alpha_lora"] / reduction,
                init="normal",
            )
        case "adapter":
            return config.Adapter(
                family="adapter",
                block=_block_of(flags),
                placement=flags["adapter_type"].lower(),
                composition=flags["seq_or_par"],
                residual=flags["apply_residual"],
                layer_norms="frozen" if waves else "trained",
            )
        case "adapter-ablation":
            return _ablation_of(flags)
        case "Dense-MoA" | "Soft-MoA":
            return _mixture_of(flags)
    raise UserError(f"petl has no counterpart of the released code's method '{flags['method']}'")


def _ablation_of(flags: dict[str, Any]) -> config.Adapter:
    """For `after`, the released code builds one model, whatever `seq_or_par` is."""
    order = "before" if flags["seq_or_par"] == "sequential" else "parallel"
    if flags["befafter"] == "after":
        order = "sequential"
    return config.Adapter(
        family="adapter",
        block=_block_of(flags),
        placement=_PLACEMENT[flags["location"]],
        composition=order,
        residual=order != "parallel",
    )


def _mixture_of(flags: dict[str, Any]) -> config.DenseMoA | config.SoftMoA:
    houlsby = flags["adapter_type_moa"] == "Houlsby"
    common = {
        "block": _expert_of(flags),
        "experts": flags["num_adapters"],
        "placement": "houlsby" if houlsby else _PLACEMENT[flags["location_moa"]],
        "attention_output": "twice",
    }
    if flags["method"] == "Dense-MoA":
        return config.DenseMoA(family="dense-moa", **common)
    common |= {
        "slots": flags["num_slots"],
        "normalise": "experts" if flags["normalize"] else "none",
    }
    return config.SoftMoA(family="soft-moa", **common)


def _expert_of(flags: dict[str, Any]) -> config.Bottleneck | config.Convpass:
    kind, reduction = flags["adapter_module_moa"], flags["reduction_rate_moa"]
    if kind == "bottleneck":
        return config.Bottleneck(kind=kind, reduction=reduction, init="normal")
    return _convpass_of(reduction, dropout=0.1)


def _convpass_of(reduction: int, dropout: float) -> config.Convpass:
    return config.Convpass(
        kind="convpass",
        reduction=reduction,
        convolution="discarded",
        dropout=dropout,
        init="normal",
    )


def _block_of(flags: dict[str, Any]) -> config.Bottleneck | config.Conformer | config.Convpass:
    reduction, waves = flags["reduction_rate_adapter"], family_of(flags) == "wav2vec2"
    if flags["adapter_block"] == "bottleneck":
        return config.Bottleneck(kind="bottleneck", reduction=reduction, init="normal")
    if flags["adapter_block"] == "convpass":  # an adapter's dropout stays in eval mode there
        return _convpass_of(reduction, dropout=0.0)
    return config.Conformer(
        kind="conformer",
        reduction=reduction,
        kernel=flags["kernel_size"],
        layer_norm="applied" if waves else "ignored",
        init="kaiming" if waves else "default",
    )


def family_of(flags: dict[str, Any]) -> str:
    return flags.get("backbone", "ast")


def backbone_of(flags: dict[str, Any], source: str) -> config.Backbone:
    if family_of(flags) == "wav2vec2":
        frozen_is_eval = flags["method"] == "adapter"  # other methods leave it in train mode
        dropout = "none" if frozen_is_eval else "checkpoint"
        return config.Wav2Vec2(family="wav2vec2", source=source, dropout=dropout)
    pooling = flags["final_output"].lower()
    return config.AST(family="ast", source=source, position_embeddings="zeros", pooling=pooling)


def load_model(
    state: dict[str, Tensor],
    flags: dict[str, Any],
    backbone: str | Path,
    max_length: int,
    num_classes: int,
) -> Model:
    """Our model with their weights. Tensors that `state` lacks come from the backbone's folder."""
    settings = backbone_of(flags, str(backbone))
    encoder = build_encoder(settings, max_length)
    method = method_of(flags)
    apply_method(encoder, method)
    head = build_head(encoder.shape.hidden, num_classes)
    model = Model(encoder, head, settings.pooling, method.prompt_length)
    fill(model, flags, state)
    return model


def their_names(model: Model, flags: dict[str, Any]) -> Names:
    """Our parameters and buffers -> theirs, without `model.`; several where ours stacks them."""
    naming = naming_of(family_of(flags))

    def theirs(name: str) -> tuple[str, ...]:
        if name.startswith("head."):
            return (name.replace("head.", "classification_head."),)
        return naming.theirs(name.removeprefix("backbone.")) or (_new_name(name, flags),)

    return {name: theirs(plain(name)) for name in model.state_dict()}


def plain(name: str) -> str:
    """The name without the wrappers."""
    return name.replace(".inner", "")


def _new_name(name: str, flags: dict[str, Any]) -> str:
    """Their name for a tensor of a method."""
    parts = name.split(".")[1:]
    if parts[0] == "tokens":
        return "prompt_embeddings"
    stack = "layers" if family_of(flags) == "wav2vec2" else "layer"
    layer, rest = f"encoder.{stack}.{parts[1]}", parts[2:]
    match rest:
        case ["prompts"]:
            return f"deep_prompt_embeddings[{int(parts[1]) - 1}]"
        case [("attention" | "ffn") as place, "block", *rest] if flags["method"].endswith("MoA"):
            return _mixture_name(layer, place, rest, flags)
        case [("attention" | "ffn") as place, "block", module, end]:
            where = {"attention": "_MHSA", "ffn": "_FFN"}[place]
            where = "" if flags["method"] == "adapter-ablation" else where
            theirs = _BLOCKS[flags["adapter_block"]][module]
            return f"{layer}.adapter_module{where}.{theirs}.{end}"
        case ["attention", "qkv", ("keys" | "values") as which]:
            return f"{layer}.attention.attention.{which[:-1]}_tokens"
        case ["attention", "qkv", "updates", target, ("down" | "up") as side, end]:
            target = target.upper() if flags["method"] == "LoRA-ablation" else target
            return f"{layer}.attention.attention.lora_{side}_{target}.{end}"
        case ["attention", "out", "update", ("down" | "up") as side, end]:
            return f"{layer}.attention.output.lora_{side}_O.{end}"
    raise KeyError(name)


def _mixture_name(layer: str, place: str, rest: list[str], flags: dict[str, Any]) -> str:
    where = {"attention": "_mhsa", "ffn": "_ffn"}[place]
    where = where if flags["adapter_type_moa"] == "Houlsby" else ""
    match rest:
        case ["router", end]:
            return f"{layer}.router{where}.ff.{end}"
        case ["experts", index, module, end]:
            theirs = _BLOCKS[flags["adapter_module_moa"]][module]
            return f"{layer}.moa{where}.moa.{index}.{theirs}.{end}"
        case ["slots"]:
            return f"{layer}.moa{where}.slot_params"
    return f"{layer}.moa{where}.{rest[0]}"


def fill(
    model: Model, flags: dict[str, Any], state: dict[str, Tensor], complete: bool = False
) -> None:
    """Copy their tensors into our model. If `complete`, `state` must have all of them."""
    state = {name.removeprefix("model."): tensor for name, tensor in state.items()}
    for i, rows in enumerate(state.pop("deep_prompt_embeddings", [])):
        state[f"deep_prompt_embeddings[{i}]"] = rows[None]
    names = their_names(model, flags)
    fill_tensors(
        model.state_dict(),
        state,
        "the checkpoint does not fit the flags",
        lambda ours: [names[ours]],
        unused=naming_of(family_of(flags)).leftovers,
        partly=not complete,
    )

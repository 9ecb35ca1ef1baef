"""Small random checkpoints in the layouts of other programs, and what each of them computes.

The forward passes are written with torch alone, from each program's published code.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

Tensors = dict[str, Tensor]
HIDDEN, LAYERS, HEADS, MLP, SIDE, FRAMES = 32, 2, 4, 64, 16, 96
COLUMNS = FRAMES // SIDE
PATCHES = 8 * COLUMNS


def draw(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape)


def timm(prefix: str = "", special: tuple[str, ...] = ("cls_token",)) -> Tensors:
    """The layers and embeddings of a vision transformer, as timm names them."""
    torch.manual_seed(0)
    tensors = {name: draw(1, 1, HIDDEN) for name in special}
    tensors["pos_embed"] = draw(1, len(special) + PATCHES, HIDDEN)
    tensors |= {"patch_embed.proj.weight": draw(HIDDEN, 1, SIDE, SIDE)}
    tensors |= {"patch_embed.proj.bias": draw(HIDDEN)}
    for layer in range(LAYERS):
        for name, outputs, inputs in (
            ("attn.qkv", 3 * HIDDEN, HIDDEN),
            ("attn.proj", HIDDEN, HIDDEN),
            ("mlp.fc1", MLP, HIDDEN),
            ("mlp.fc2", HIDDEN, MLP),
        ):
            tensors[f"blocks.{layer}.{name}.weight"] = draw(outputs, inputs)
            tensors[f"blocks.{layer}.{name}.bias"] = draw(outputs)
        for name in ("norm1", "norm2"):
            tensors |= norm(f"blocks.{layer}.{name}")
    return {prefix + name: tensor for name, tensor in (tensors | norm("norm")).items()}


def norm(name: str) -> Tensors:
    return {f"{name}.weight": 1 + draw(HIDDEN), f"{name}.bias": draw(HIDDEN)}


def patches(x: Tensor, tensors: Tensors, name: str) -> Tensor:
    """In the order in which the convolution of this input leaves them."""
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    return F.conv2d(x, weight, bias, stride=SIDE).flatten(2).transpose(1, 2)


def attention(h: Tensor, tensors: Tensors, name: str) -> Tensor:
    qkv = F.linear(h, tensors[f"{name}.qkv.weight"], tensors[f"{name}.qkv.bias"])
    split = qkv.reshape(*h.shape[:2], 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
    q, k, v = split.unbind(0)
    weights = ((q @ k.transpose(-2, -1)) * (HIDDEN // HEADS) ** -0.5).softmax(dim=-1)
    out = (weights @ v).transpose(1, 2).reshape(h.shape)
    return F.linear(out, tensors[f"{name}.proj.weight"], tensors[f"{name}.proj.bias"])


def mlp(h: Tensor, tensors: Tensors, name: str) -> Tensor:
    h = F.gelu(F.linear(h, tensors[f"{name}.fc1.weight"], tensors[f"{name}.fc1.bias"]))
    return F.linear(h, tensors[f"{name}.fc2.weight"], tensors[f"{name}.fc2.bias"])


def normalised(h: Tensor, tensors: Tensors, name: str) -> Tensor:
    return F.layer_norm(h, (HIDDEN,), tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-6)


def pre_norm(h: Tensor, tensors: Tensors) -> Tensor:
    for block in (f"blocks.{layer}" for layer in range(LAYERS)):
        h = h + attention(normalised(h, tensors, f"{block}.norm1"), tensors, f"{block}.attn")
        h = h + mlp(normalised(h, tensors, f"{block}.norm2"), tensors, f"{block}.mlp")
    return normalised(h, tensors, "norm")


def post_norm(h: Tensor, tensors: Tensors) -> Tensor:
    for block in (f"blocks.{layer}" for layer in range(LAYERS)):
        h = normalised(h + attention(h, tensors, f"{block}.attn"), tensors, f"{block}.norm1")
        h = normalised(h + mlp(h, tensors, f"{block}.mlp"), tensors, f"{block}.norm2")
    return h


# --- the programs: `x` is (clips, frames, bins), the result (clips, tokens, hidden) ---------------


def audio_mae(x: Tensor, tensors: Tensors) -> Tensor:
    h = patches(x[:, None], tensors, "patch_embed.proj")
    h = torch.cat([tensors["cls_token"].expand(len(x), -1, -1), h], dim=1)
    return pre_norm(h + tensors["pos_embed"], tensors)


def ssast(x: Tensor, tensors: Tensors) -> Tensor:
    bare = {name.removeprefix("module.v."): t for name, t in tensors.items()}
    h = patches(x.transpose(1, 2)[:, None], bare, "patch_embed.proj")
    special = [bare[name].expand(len(x), -1, -1) for name in ("cls_token", "dist_token")]
    return pre_norm(torch.cat([*special, h], dim=1) + bare["pos_embed"], bare)


def eat(x: Tensor, tensors: Tensors) -> Tensor:
    bare = {name.removeprefix("model."): t for name, t in tensors.items()}
    h = patches(x[:, None], bare, "local_encoder.proj")
    h = h + bare["fixed_positional_encoder.positions"][:, : h.shape[1]]
    h = torch.cat([bare["extra_tokens"].expand(len(x), -1, -1), h], dim=1)
    return post_norm(normalised(h, bare, "pre_norm"), bare)


# --- their checkpoints ----------------------------------------------------------------------------


def ssast_file() -> Tensors:
    tensors = timm("module.v.", ("cls_token", "dist_token"))
    sizes = {"p_input_fdim": torch.tensor(128), "p_input_tdim": torch.tensor(FRAMES)}
    heads = {"mask_embed": draw(1, 1, HIDDEN), "gpredlayer.0.weight": draw(3, HIDDEN)}
    tensors |= {f"module.{name}": tensor for name, tensor in (sizes | heads).items()}
    return tensors | {"module.v.head.weight": draw(7, HIDDEN)}


def eat_file(columns: int = COLUMNS) -> Tensors:
    """Its fixed positions may reach further than the frames of the pre-training."""
    plain = timm()
    kept = {name: t for name, t in plain.items() if name.startswith("blocks")}
    kept |= {f"local_encoder.proj.{end}": plain[f"patch_embed.proj.{end}"] for end in ENDS}
    kept |= {"fixed_positional_encoder.positions": draw(1, 8 * columns, HIDDEN)}
    kept |= {"extra_tokens": plain["cls_token"]} | norm("pre_norm")
    return {f"model.{name}": tensor for name, tensor in kept.items()}


ENDS = ("weight", "bias")

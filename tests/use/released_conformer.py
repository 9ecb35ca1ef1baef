"""What the released conformer adapters compute, spelled out on tensors under their own names.

Slow and plain on purpose: no module of ours, no fused projection, no attention kernel.
"""

from __future__ import annotations

import torch
from golden_cases import GOLDEN, Case
from torch import Tensor
from torch.nn import functional as F

from petl.backbones.library import read_checkpoint


class Released:
    def __init__(self, case: Case, dtype: torch.dtype):
        self.flags = case.flags
        self.config, backbone = read_checkpoint(str(GOLDEN / "ast_tiny"))
        state = {f"model.{name}": tensor for name, tensor in backbone.items()} | case.state
        self.t = {k: v.clone().to(dtype) for k, v in state.items() if v.is_floating_point()}
        self.names = case.index["trainable_names"]
        for name in self.names:
            self.t[name].requires_grad_(True)
        self.training = True

    def trainable(self) -> list[Tensor]:
        return [self.t[name] for name in self.names]

    def eval(self) -> Released:
        self.training = False
        return self

    def forward(self, x: Tensor) -> Tensor:
        begin = "model.embeddings."
        patches = F.conv2d(
            x.unsqueeze(1).transpose(2, 3),
            self.t[begin + "patch_embeddings.projection.weight"],
            self.t[begin + "patch_embeddings.projection.bias"],
            stride=(self.config["frequency_stride"], self.config["time_stride"]),
        )
        special = [
            self.t[begin + n].expand(len(x), 1, -1) for n in ("cls_token", "distillation_token")
        ]
        h = torch.cat([*special, patches.flatten(2).transpose(1, 2)], dim=1)
        h = h + self.t[begin + "position_embeddings"]
        for i in range(self.config["num_hidden_layers"]):
            h = self.layer(h, f"model.encoder.layer.{i}.")
        return self.linear(self.norm(h, "model.layernorm").mean(dim=1), "classification_head")

    def layer(self, h: Tensor, at: str) -> Tensor:
        before = self.norm(h, at + "layernorm_before")
        h = h + self.branch(before, at, "MHSA")
        return h + self.branch(self.norm(h, at + "layernorm_after"), at, "FFN")

    def branch(self, h: Tensor, at: str, place: str) -> Tensor:
        """The attention or the feed-forward network, with its adapter if it has one."""
        f = self.attention if place == "MHSA" else self.ffn
        ablation = self.flags["method"] == "adapter-ablation"
        if ablation and self.flags["location"] == place:
            return self.ablation(f, h, at)
        if ablation or (place == "MHSA" and self.flags["adapter_type"] == "Pfeiffer"):
            return f(h, at)
        name = f"{at}adapter_module_{place}."
        if self.flags["seq_or_par"] == "parallel":
            out = f(h, at) + self.adapter(h, name)
            return out + h if self.flags["apply_residual"] else out
        out = f(h, at)
        adapted = self.adapter(out, name)
        return adapted + out if self.flags["apply_residual"] else adapted

    def ablation(self, f, h: Tensor, at: str) -> Tensor:  # type: ignore[no-untyped-def]
        name = f"{at}adapter_module."
        if self.flags["befafter"] == "after":
            out = f(h, at)
            return out + self.adapter(out, name)
        adapted = self.adapter(h, name)
        return f(h if self.flags["seq_or_par"] == "parallel" else adapted, at) + adapted

    def attention(self, h: Tensor, at: str) -> Tensor:
        heads = self.config["num_attention_heads"]
        q, k, v = (
            self.linear(h, f"{at}attention.attention.{name}")
            .unflatten(-1, (heads, -1))
            .transpose(1, 2)
            for name in ("query", "key", "value")
        )
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)
        return self.linear((weights @ v).transpose(1, 2).flatten(2), f"{at}attention.output.dense")

    def ffn(self, h: Tensor, at: str) -> Tensor:
        inside = F.gelu(self.linear(h, f"{at}intermediate.dense"))
        return self.linear(inside, f"{at}output.dense")

    def adapter(self, h: Tensor, name: str) -> Tensor:
        x = self.conv(h.transpose(1, 2), name + "pwise_conv1")
        x = F.glu(x, dim=1)
        kernel = self.flags["kernel_size"]
        x = F.pad(x, ((kernel - 1) // 2, kernel // 2))
        x = self.conv(x, name + "dwise_conv", groups=x.shape[1])
        x = F.batch_norm(
            x,
            self.t[name + "bnorm.running_mean"],
            self.t[name + "bnorm.running_var"],
            self.t[name + "bnorm.weight"],
            self.t[name + "bnorm.bias"],
            training=self.training,
        )
        return self.conv(F.silu(x), name + "pwise_conv2").transpose(1, 2)

    def conv(self, x: Tensor, name: str, groups: int = 1) -> Tensor:
        return F.conv1d(x, self.t[f"{name}.weight"], self.t[f"{name}.bias"], groups=groups)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.t[f"{name}.weight"], self.t[f"{name}.bias"])

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.t[f"{name}.weight"], self.t[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self.config["layer_norm_eps"])

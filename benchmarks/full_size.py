"""The benchmarks' models: a full-size AST with the paper's conformer adapters and random weights.

Ours, and the library's ASTModel with the same frozen weights and the same adapters attached by
hooks, written as in the paper's code.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from petl.backbones import ast, naming
from petl.config.study import EXPERIMENTS, load_study
from petl.methods.apply import apply_method
from petl.model.build import Model
from petl.model.head import build_head

CLASSES = 50
METHOD = "conformer-pfeiffer"


@dataclass(frozen=True)
class Size:
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    frames: int = 500

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the library's ASTConfig; its other defaults are right."""
        return {
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": 4 * self.hidden,
            "max_length": self.frames,
        }


FULL, QUICK = Size(), Size(hidden=96, layers=2, heads=4, frames=96)


def library_model(size: Size, attention: str = "eager") -> nn.Module:
    transformers.logging.set_verbosity_error()
    settings = transformers.ASTConfig(**size.settings)
    settings._attn_implementation = attention
    torch.manual_seed(0)
    return transformers.ASTModel(settings)


def ours(size: Size, layer_checkpointing: bool = False) -> Model:
    library = library_model(size)
    c = library.config.to_dict()
    encoder = ast.make(c | {"max_length": size.frames}, None)
    naming.load_library(
        encoder.state_dict(), library.state_dict(), ast.NAMING, "the library's model"
    )
    torch.manual_seed(1)
    apply_method(encoder, _method())
    encoder.layer_checkpointing = layer_checkpointing
    return Model(encoder, build_head(size.hidden, CLASSES)).train()


def _method() -> Any:
    tasks = load_study(EXPERIMENTS / "table1.yaml").tasks
    return next(task.method for task in tasks if task.names.method == METHOD)


class Library(nn.Module):
    """The library's model, with hooks that add our adapters to each feed-forward branch."""

    def __init__(self, size: Size, attention: str):
        super().__init__()
        self.model = library_model(size, attention).requires_grad_(False)
        mine = ours(size)
        self.head = mine.head
        self.adapters = nn.ModuleList(layer.ffn.block for layer in mine.backbone.layers)
        self.model.layernorm.requires_grad_(True)
        layers = [m for m in self.model.modules() if type(m).__name__ == "ASTLayer"]
        for layer, adapter in zip(layers, self.adapters, strict=True):
            self._adapt(layer, adapter)
        self.train()

    def _adapt(self, layer: nn.Module, adapter: nn.Module) -> None:
        read: list[Tensor] = []
        layer.layernorm_after.requires_grad_(True)
        layer.layernorm_after.register_forward_hook(lambda _, __, out: read.append(out))

        def add(_: nn.Module, __: Any, out: Any) -> Any:
            branch = convolved(adapter, read.pop())
            return (out[0] + branch, *out[1:]) if isinstance(out, tuple) else out + branch

        layer.register_forward_hook(add)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.model(x).last_hidden_state.mean(dim=1))


def convolved(adapter: nn.Module, h: Tensor) -> Tensor:
    """The adapter as it is usually written; ours computes the same and keeps less."""
    x = F.glu(adapter.gated(h.transpose(1, 2)), dim=1)
    x = F.silu(adapter.batch_norm(adapter.depthwise(x)))
    return adapter.up(x).transpose(1, 2)


def attentions() -> tuple[str, ...]:
    """The attention implementations of this version of the library; old ones have only eager."""
    chooses = hasattr(transformers.ASTModel, "_supports_sdpa")
    return ("eager", "sdpa") if chooses else ("eager",)


def clips(size: Size, count: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    x = torch.randn(count, size.frames, 128, generator=random)
    return x.to(device), torch.randint(CLASSES, (count,), generator=random).to(device)


def machine() -> str:
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{model} ({platform.machine()}), {torch.get_num_threads()} threads{gpu}; {versions}"

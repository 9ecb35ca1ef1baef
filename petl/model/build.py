"""The model of a task: a backbone with a method, pooling, and a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.families import build_encoder
from petl.backbones.hub import Hub
from petl.methods import init
from petl.methods.apply import apply_method


class Model(nn.Module):
    def __init__(self, encoder: Encoder, pooling: str, prompts: int, hidden: int, outputs: int):
        super().__init__()
        self.backbone = encoder
        self.pooling, self.prompts = pooling, prompts
        self.special = encoder.special
        self.head = nn.Linear(hidden, outputs)
        init.default(self.head)
        self.head_only = False
        """Set while nothing below the head trains, so that no gradient is computed there."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.head_only):
            pooled = self.pool(self.backbone(x))
        return self.head(pooled)

    def pool(self, h: Tensor) -> Tensor:
        """`all` is every token, CLS, DIST and prompts included, as the released code pools."""
        first_patch = 1 + self.prompts if self.prompts else self.special
        if self.pooling == "cls":
            return h[:, 0]
        if self.pooling == "cls+dist":  # no gain: it would be one with the head's weight
            pooled = h[:, :2].mean(dim=1)
            return F.layer_norm(pooled, pooled.shape[-1:], eps=self.backbone.shape.eps)
        if self.pooling == "prompts":
            h = h[:, 1:first_patch]
        elif self.pooling == "speech":
            h = h[:, first_patch:]
        elif self.pooling == "prompts+speech":
            h = h[:, 1:]
        return h.mean(dim=1)


def build_model(task: config.Task, hub: Hub | None = None) -> Model:
    """The task's model. New modules use the global random generator: seed it first."""
    return assemble(build_encoder(task.backbone, task.dataset.frames, hub), task)


def assemble(encoder: Encoder, task: config.Task) -> Model:
    apply_method(encoder, task.method)
    encoder.layer_checkpointing = task.train.layer_checkpointing == "on"
    prompts = task.method.prompt_length
    hidden, pooling = encoder.shape.hidden, task.backbone.pooling
    return Model(encoder, pooling, prompts, hidden, task.dataset.outputs)


def count_parameters(model: Model) -> dict[str, int]:
    """`trainable` includes tensors that require a gradient but never get one."""
    head = {id(p) for p in model.head.parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    return {
        "trainable": sum(p.numel() for p in trainable),
        "trainable_without_head": sum(p.numel() for p in trainable if id(p) not in head),
        "total": sum(p.numel() for p in model.parameters()),
    }


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: the trainable parameters and the new modules' running statistics."""
    changing = {name for name, p in model.named_parameters() if p.requires_grad}
    changing |= {name for name, _ in model.named_buffers()}
    return {name: t for name, t in model.state_dict().items() if name in changing}


@torch.no_grad()
def restore(model: nn.Module, state: dict[str, Tensor]) -> None:
    model.load_state_dict(state, strict=False)

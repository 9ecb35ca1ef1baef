"""The model of a task: a backbone with a method, pooling, and a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.families import build_encoder
from petl.backbones.hub import Hub
from petl.methods.apply import apply_method
from petl.model.head import build_head


class Model(nn.Module):
    """`norm_again` applies the encoder's final LayerNorm to its own output once more."""

    def __init__(
        self,
        encoder: Encoder,
        head: nn.Module,
        pooling: str = "all",
        prompts: int = 0,
        norm_again: bool = False,
    ):
        super().__init__()
        self.backbone = encoder
        self.head = head
        self.pooling, self.prompts, self.norm_again = pooling, prompts, norm_again
        self.special = encoder.special
        self.head_only = False
        """Set while nothing below the head trains, so that no gradient is computed there."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.head_only):
            h = self.backbone(x)
            pooled = self.pool(self.backbone.norm(h) if self.norm_again else h)
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
    head = build_head(encoder.shape.hidden, task.dataset.outputs, task.head)
    twice = task.head.norm == "twice"
    return Model(encoder, head, task.backbone.pooling, task.method.prompt_length, twice)


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
    """What training changes: the trainable parameters and the new modules' running statistics.

    The head too if it keeps its random start, which no checkpoint has.
    """
    parameters = model.named_parameters()
    changing = {name for name, p in parameters if p.requires_grad or name.startswith("head.")}
    changing |= {name for name, _ in model.named_buffers()}
    return {name: t for name, t in model.state_dict().items() if name in changing}


@torch.no_grad()
def restore(model: nn.Module, state: dict[str, Tensor]) -> None:
    model.load_state_dict(state, strict=False)

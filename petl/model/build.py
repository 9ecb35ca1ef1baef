"""The model of a task: a backbone with a method, pooling, and a head."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl import config
from petl.backbones.encoder import Encoder
from petl.backbones.families import build_encoder
from petl.backbones.hub import Hub
from petl.methods.apply import apply_method
from petl.model.head import PARTS, Attentive, build_head

Reads = Literal["clips", "mean"] | int
"""What a model reads: clips, or what petl.model.frozen has computed of them."""


class Model(nn.Module):
    """`norm_again` applies the encoder's final LayerNorm to its own output once more."""

    def __init__(
        self,
        encoder: Encoder,
        head: nn.Module,
        pooling: str = "all",
        prompts: int = 0,
        norm_again: bool = False,
        attentive: Attentive | None = None,
    ):
        super().__init__()
        self.backbone = encoder
        self.head = head
        self.attentive = attentive
        self.pooling, self.prompts, self.norm_again = pooling, prompts, norm_again
        self.special = encoder.special
        self.head_only = False
        """Set while nothing below the head trains, so that no gradient is computed there."""
        self.reads: Reads = "clips"

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.head_only):
            is_mean = self.reads == "mean"
            h = affine(self.backbone.norm, x) if is_mean else self.last_tokens(x)
        return self.head(self.average(h) if is_mean else self.pool(h))

    def last_tokens(self, x: Tensor) -> Tensor:
        """The encoder's output."""
        norm = self.backbone.norm
        if isinstance(self.reads, int):
            h = norm(self.backbone.above(x, self.reads))
        else:
            h = self.backbone(x)
        return norm(h) if self.norm_again else h

    def chosen(self, h: Tensor) -> Tensor:
        """The tokens that the head reads.

        `all` is every token, CLS, DIST and prompts included, as the released code pools.
        """
        first_patch = 1 + self.prompts if self.prompts else self.special
        slices = {
            "all": slice(None),
            "cls": slice(1),
            "cls+dist": slice(2),
            "prompts": slice(1, first_patch),
            "speech": slice(first_patch, None),
            "prompts+speech": slice(1, None),
        }
        return h[:, slices[self.pooling]]

    def pool(self, h: Tensor) -> Tensor:
        return self.average(self.chosen(h))

    def average(self, chosen: Tensor) -> Tensor:
        if self.attentive is not None:
            return self.attentive(chosen)
        pooled = chosen.mean(dim=1)
        if self.pooling == "cls+dist":  # no gain: it would be one with the head's weight
            pooled = F.layer_norm(pooled, pooled.shape[-1:], eps=self.backbone.shape.eps)
        return pooled


def affine(norm: nn.Module, x: Tensor) -> Tensor:
    """What a LayerNorm does after it has normalised."""
    return x * norm.weight + norm.bias if isinstance(norm, nn.LayerNorm) else x


def build_model(task: config.Task, hub: Hub | None = None) -> Model:
    """The task's model. New modules use the global random generator: seed it first."""
    dataset = task.dataset
    return assemble(build_encoder(task.backbone, dataset.frames, hub, dataset.front_end), task)


def assemble(encoder: Encoder, task: config.Task) -> Model:
    apply_method(encoder, task.method)
    encoder.layer_checkpointing = task.train.layer_checkpointing == "on"
    head = build_head(encoder.shape.hidden, task.dataset.outputs, task.head)
    twice = task.head.norm == "twice"
    attentive = Attentive(encoder.shape.hidden) if task.head.pooling == "attentive" else None
    prompts = task.method.prompt_length
    return Model(encoder, head, task.backbone.pooling, prompts, twice, attentive)


def count_parameters(model: Model) -> dict[str, int]:
    """`trainable` includes tensors that require a gradient but never get one."""
    trainable = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    rest = [size for name, size in trainable.items() if name.partition(".")[0] not in PARTS]
    return {
        "trainable": sum(trainable.values()),
        "trainable_without_head": sum(rest),
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

"""Settings of training: AdamW, and a learning rate that falls to zero step by step.

A setting on which the released code and the paper differ has no default here. Every other default
leaves training as it is without the option.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from petl.config.base import Count, Rate, Settings
from petl.config.loss import Loss, parts

Beta = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class LaterBatches(Settings):
    """The batch size from this epoch on; epochs count from 1."""

    epoch: Annotated[int, Field(ge=2)]
    batch_size: Count


class Mixup(Settings):
    """Mixes a share of the training clips with others of the batch, by Beta(alpha, alpha)."""

    share: Annotated[float, Field(gt=0, le=1)]
    alpha: Rate


class Train(Settings):
    epochs: Count
    batch_size: Count
    lr: Rate
    betas: Annotated[tuple[Beta, Beta], Field(strict=False)]
    eps: Rate
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    decay: Literal["everything", "weights"]

    head_lr: Rate | None = None
    """A learning rate for the head alone; it follows the same curve."""
    curve: Literal["cosine", "linear"] = "cosine"
    """How the learning rate falls. linear: straight to zero, after a straight rise, as in the
    library's get_linear_schedule_with_warmup."""
    warm_up: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """For how many epochs, or parts of one, the learning rate rises from zero."""
    warm_up_steps: Count | None = None
    """For how many optimiser steps it rises from zero before the cosine begins, as in the library's
    get_cosine_schedule_with_warmup; `warm_up` multiplies a cosine that begins at once."""
    clip_norm: Rate | None = None
    label_smoothing: Fraction = 0.0
    loss: Loss = "mse"
    """mse, mae, ccc or a mix of a regression; a classification minimises (binary) cross-entropy."""
    target_weights: dict[str, Rate] | None = None
    """The loss of a regression is the weighted mean over its targets."""
    mixup: Mixup | None = None
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """balanced: as many clips, drawn with replacement; those of rare classes more often."""
    head_first: Fraction = 0.0
    """The share of the epochs in which only the head trains; then the method trains too."""
    later_batches: Annotated[tuple[LaterBatches, ...], Field(strict=False)] = ()
    batch_schedule: Literal["obeyed", "ignored"] = "obeyed"
    """ignored: `later_batches` changes nothing, as in released code that never reads its list."""
    best_by: str | None = None
    """The metric whose best value on the validation clips makes the best epoch [the headline]."""
    patience: Count | None = None
    """Stop after this many epochs without a better validation."""
    min_improvement: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """By how much an epoch's validation has to be better than the best so far to replace it."""
    micro_batch: Count | None = None
    """Clips that go through the model at a time: less memory, the same step."""
    layer_checkpointing: Literal["off", "on"] = "off"
    """Recompute layers in the backward pass: less memory, more time, the same numbers."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    frozen: Literal["recompute", "cached"] = "recompute"
    """cached: what no epoch changes is computed once for each clip and kept in the cache."""
    deterministic: bool = False
    """On a GPU: use only kernels that give the same bits each time, which may be slower."""

    @model_validator(mode="after")
    def _options_fit_together(self) -> Train:
        if self.warm_up >= self.epochs:
            raise ValueError(
                f"train.warm_up ({self.warm_up:g}) must be below train.epochs ({self.epochs})"
            )
        if self.warm_up and self.warm_up_steps:
            raise ValueError("train.warm_up and train.warm_up_steps: set one of them")
        if self.micro_batch is not None and "ccc" in parts(self.loss):
            raise ValueError("train.micro_batch: loss 'ccc' needs the whole batch at once")
        return self

    @model_validator(mode="after")
    def _follows_in_time(self) -> Train:
        starts = [later.epoch for later in self.later_batches]
        if starts != sorted(set(starts)):
            raise ValueError("train.later_batches: list the epochs in increasing order")
        if starts and starts[-1] > self.epochs:
            raise ValueError(
                f"train.later_batches: there is no epoch {starts[-1]} in {self.epochs}"
            )
        return self

    def batch_size_in(self, epoch: int) -> int:
        size = self.batch_size
        for later in self.later_batches if self.batch_schedule == "obeyed" else ():
            if epoch >= later.epoch:
                size = later.batch_size
        return size

"""What a task says about its training: AdamW with a cosine to zero over every step.

Whatever is an option here, and not a difference between the released code and the paper, has a
default that leaves the step as it is without the option.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from petl.config.base import Count, Rate, Settings

Beta = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class LaterBatches(Settings):
    """From this epoch on, counted from 1, batches are so large."""

    epoch: Annotated[int, Field(ge=2)]
    batch_size: Count


class Mixup(Settings):
    """A share of the training clips is mixed with others of its batch, by Beta(alpha, alpha)."""

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
    """The head's own rate; both follow the same curve."""
    warm_up: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """So many epochs, or parts of one, of a rate that rises from zero."""
    clip_norm: Rate | None = None
    label_smoothing: Fraction = 0.0
    loss: Literal["mse", "mae", "ccc"] = "mse"
    """Of a regression; a classification minimises cross-entropy."""
    mixup: Mixup | None = None
    head_first: Fraction = 0.0
    """For this share of the epochs only the head trains; then the method's parameters too."""
    later_batches: Annotated[tuple[LaterBatches, ...], Field(strict=False)] = ()
    patience: Count | None = None
    """Stop early after so many epochs without a better validation."""
    micro_batch: Count | None = None
    """A batch goes through the model in pieces of so many clips: less memory, the same step."""
    layer_checkpointing: Literal["off", "on"] = "off"
    """Less memory for more time, and the same numbers."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    deterministic: bool = False
    """On a GPU: only kernels that give the same bits each time, where that costs speed."""

    @model_validator(mode="after")
    def _options_fit_together(self) -> Train:
        if self.warm_up >= self.epochs:
            raise ValueError(f"train.warm_up: {self.warm_up:g} epochs leave none of {self.epochs}")
        if self.micro_batch is not None and self.loss == "ccc":
            raise ValueError("train.micro_batch: the CCC of a batch is not the mean of its pieces'")
        return self

    @model_validator(mode="after")
    def _follows_in_time(self) -> Train:
        starts = [later.epoch for later in self.later_batches]
        if starts != sorted(set(starts)):
            raise ValueError("train.later_batches: epochs must rise")
        if starts and starts[-1] > self.epochs:
            raise ValueError(
                f"train.later_batches: there is no epoch {starts[-1]} in {self.epochs}"
            )
        return self

    def batch_size_in(self, epoch: int) -> int:
        size = self.batch_size
        for later in self.later_batches:
            if epoch >= later.epoch:
                size = later.batch_size
        return size

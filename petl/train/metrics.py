"""What is minimised and what is reported, for each kind of target: classification so far."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

PRIMARY = "accuracy"
"""The metric that chooses the best epoch on the validation set; higher is better."""


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets)


def measure(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    return {
        "accuracy": (outputs.argmax(dim=1) == targets).double().mean().item(),
        "loss": loss(outputs.double(), targets).item(),
    }

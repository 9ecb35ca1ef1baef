"""What the released code computed on the tiny backbones, and the same from ours."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from petl.model.build import Model
from petl.use import released

GOLDEN = Path(__file__).parent / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())
CASES = list(INDEX["cases"])
AST_CASES = [name for name in CASES if INDEX["cases"][name]["config"]["backbone"] == "ast"]


@dataclass(frozen=True)
class Case:
    name: str

    @property
    def index(self) -> dict[str, Any]:
        return INDEX["cases"][self.name]

    @property
    def flags(self) -> dict[str, Any]:
        return self.index["config"]

    @cached_property
    def numbers(self) -> dict[str, Tensor]:
        arrays = np.load(GOLDEN / "cases" / f"{self.name}.npz")
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    @property
    def state(self) -> dict[str, Tensor]:
        begin = "state/"
        return {k[len(begin) :]: t for k, t in self.numbers.items() if k.startswith(begin)}

    def model(self) -> Model:
        """The recordings were made without convpass's dropout."""
        folder = str(GOLDEN / f"{self.flags['backbone']}_tiny")
        frames, classes = INDEX["max_length"], INDEX["num_classes"]
        model = released.load_model(self.state, self.flags, folder, frames, classes)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return model

    def batches(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        arrays = np.load(GOLDEN / "batches.npz")
        inputs = torch.from_numpy(arrays[self.flags["backbone"]])
        return inputs.to(dtype), torch.from_numpy(arrays["labels"]).long()

    def trainable_names(self) -> set[str]:
        """Without the `model.` that some of their models put before a name and some do not."""
        return {name.removeprefix("model.") for name in self.index["trainable_names"]}

    def gradient_norms(self) -> dict[str, Tensor]:
        begin = "gradnorm/"
        norms = {k[len(begin) :]: t for k, t in self.numbers.items() if k.startswith(begin)}
        return {name.removeprefix("model."): norm for name, norm in norms.items()}

    def by_their_names(self, model: Model) -> dict[str, list[Tensor]]:
        """Our trainable parameters, or their gradients once there are; all deep prompts in one."""
        names, found = released.their_names(model, self.flags), defaultdict(list)
        for ours, parameter in model.named_parameters():
            if parameter.requires_grad:
                tensor = parameter if parameter.grad is None else parameter.grad
                count = len(names[ours])
                for theirs, part in zip(
                    names[ours], tensor.chunk(count) if count > 1 else [tensor], strict=True
                ):
                    found[theirs.split("[")[0]].append(part)
        return found


def train(case: Case, forward: Callable[[Tensor], Tensor], parameters: list[Tensor]) -> list[float]:
    """The recorded steps; the loss of each."""
    x, y = case.batches(parameters[0].dtype)
    lr = case.flags["lr"]
    adamw = torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adamw, INDEX["steps"])
    losses = []
    for step in range(INDEX["steps"]):
        loss = F.cross_entropy(forward(x[step]), y[step])
        adamw.zero_grad()
        loss.backward()
        adamw.step()
        cosine.step()
        losses.append(loss.item())
    return losses


def trainable(model: nn.Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]


def deviation(ours: Tensor, theirs: Tensor) -> float:
    """Absolute or relative, whichever allows more."""
    assert ours.shape == theirs.shape
    ours, theirs = ours.detach().double(), theirs.double()
    return float(((ours - theirs).abs() / theirs.abs().clamp(min=1)).max())

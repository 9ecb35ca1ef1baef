"""Gradual unfreezing during training."""

from __future__ import annotations

import torch

from petl.config import Task
from petl.data.load import load
from petl.model.build import build_model
from petl.train.loop import EpochMetrics, Fit, Watcher


def test_layers_change_from_the_epoch_that_unfreezes_them(tasks, places) -> None:
    settings = tasks[0].to_json() | {"method": {"family": "gradual", "start": 1, "every": 1}}
    task = Task.model_validate(settings)  # two epochs, a backbone of two layers
    model = build_model(task)
    watched = {"layers.1": 1, "layers.0": 2, "tokens": 3}

    def state() -> dict[str, torch.Tensor]:
        named = ((n.removeprefix("backbone."), p) for n, p in model.named_parameters())
        tensors = {n: p.detach().clone() for n, p in named}
        return {part: _flat(tensors, part) for part in watched}

    epochs = [state()]

    class Looking(Watcher):
        def epoch(self, fit: Fit, metrics: EpochMetrics) -> None:
            epochs.append(state())

    Fit(model, load(task, places), task).run(Looking())
    for epoch in (1, 2):
        changed = {k for k in watched if not torch.equal(epochs[epoch][k], epochs[epoch - 1][k])}
        assert changed == {part for part, opens in watched.items() if opens <= epoch}


def _flat(tensors: dict[str, torch.Tensor], part: str) -> torch.Tensor:
    return torch.cat([t.flatten() for name, t in tensors.items() if name.startswith(part)])

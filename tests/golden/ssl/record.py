"""Record the training steps of released notebooks on a small random AST, with the library alone.

`python tests/golden/ssl/record.py FOLDER` writes config.json, model.safetensors, arrays.npz,
index.json and reconstruct.npz. Recorded with torch 1.13.1, transformers 4.28.1 and one thread.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import ASTConfig, ASTModel, get_cosine_schedule_with_warmup

SEED, CLASSES, STEPS, BATCH, TOGETHER, LR, WARM_UP = 11, 5, 8, 2, 2, 1e-3, 2
SCALE = 32
"""What the inputs are divided by: whole numbers compress well."""
SHAPE: dict[str, Any] = {
    **{"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2},
    **{"intermediate_size": 32, "max_length": 32, "num_mel_bins": 128},
    **{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
TRAINS = {
    "head": ("head.",),
    "last-2": ("encoder.encoder.layer.1.", "encoder.encoder.layer.2."),
    "last-2-and-head": ("encoder.encoder.layer.1.", "encoder.encoder.layer.2.", "head."),
    "full": ("",),
}


class Classifier(nn.Module):
    def __init__(self, twice: bool):
        super().__init__()
        self.encoder = ASTModel(ASTConfig(**SHAPE))
        self.head, self.twice = nn.Linear(SHAPE["hidden_size"], CLASSES), twice

    def forward(self, x: Tensor) -> Tensor:
        h = self.encoder(x).last_hidden_state  # the final LayerNorm has been applied here
        return self.head((self.encoder.layernorm(h) if self.twice else h).mean(dim=1))


def recorded(model: Classifier, x: Tensor, y: Tensor, name: str) -> dict[str, np.ndarray]:
    for key, parameter in model.named_parameters():
        parameter.requires_grad_(key.startswith(TRAINS[name]))
    trained = [p for p in model.parameters() if p.requires_grad]
    adamw = torch.optim.AdamW(trained, lr=LR, weight_decay=0.0)
    curve = get_cosine_schedule_with_warmup(adamw, WARM_UP, STEPS // TOGETHER)
    before, losses, norms = model.eval()(x[0]).detach(), [], []
    for first in range(0, STEPS, TOGETHER):
        adamw.zero_grad()
        both = [F.cross_entropy(model(x[i]), y[i]) / TOGETHER for i in (first, first + 1)]
        for loss in both:
            loss.backward()
        losses.append(sum(loss.item() for loss in both))
        norms.append(nn.utils.clip_grad_norm_(trained, 1.0).item())
        adamw.step()
        curve.step()
    after = model(x[0]).detach()
    found = {"before": before, "after": after, "losses": losses, "grad_norms": norms}
    return {key: np.asarray(value) for key, value in found.items()}


class Reconstructor(nn.Module):
    def __init__(self, bins: int = SHAPE["num_mel_bins"]):
        super().__init__()
        self.encoder = ASTModel(ASTConfig(**SHAPE))
        self.projector = nn.Linear(SHAPE["hidden_size"], bins)
        self.decoder = nn.Sequential(
            nn.Conv1d(bins, bins, 3, padding=1), nn.ReLU(), nn.Conv1d(bins, bins, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.projector(self.encoder(x).last_hidden_state).transpose(1, 2)
        h = F.interpolate(self.decoder(h), size=x.shape[1], mode="linear", align_corners=True)
        return h.transpose(1, 2)


def reconstruct(folder: Path) -> None:
    """From the encoder and the inputs recorded in the folder; masks are the same in all clips."""
    model = Reconstructor().eval()
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    for i, parameter in enumerate([*model.projector.parameters(), *model.decoder.parameters()]):
        parameter.data = by_formula(parameter.shape, i)
    clean = torch.from_numpy(np.load(folder / "arrays.npz")["x"]) / SCALE
    x = clean.clone()
    x[:, :, 5:17], x[..., 30:50] = 0, 0
    adamw = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
    curve = get_cosine_schedule_with_warmup(adamw, WARM_UP, STEPS // TOGETHER)
    before, losses, norms = model(x[0]).detach(), [], []
    for first in range(0, STEPS, TOGETHER):
        adamw.zero_grad()
        both = [F.mse_loss(model(x[i]), clean[i]) / TOGETHER for i in (first, first + 1)]
        for loss in both:
            loss.backward()
        losses.append(sum(loss.item() for loss in both))
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        adamw.step()
        curve.step()
    shown = {"before": before[..., ::8], "after": model(x[0]).detach()[..., ::8]}
    shown |= {"losses": losses, "grad_norms": norms}
    np.savez_compressed(folder / "reconstruct.npz", **{k: np.asarray(v) for k, v in shown.items()})


def by_formula(shape: Sequence[int], i: int) -> Tensor:
    """Weights that need no file."""
    numbers = torch.arange(math.prod(shape), dtype=torch.float64)
    return (0.05 * torch.cos((7 + i) * numbers)).float().reshape(shape)


def main(folder: Path) -> None:
    torch.manual_seed(SEED)
    start = Classifier(twice=False)
    for parameter in start.parameters():  # nothing is 0 or 1
        nn.init.normal_(parameter, std=0.6)
    state, rng = start.state_dict(), np.random.default_rng(SEED)
    x = rng.integers(-60, 61, (STEPS, BATCH, SHAPE["max_length"], SHAPE["num_mel_bins"]), np.int8)
    y = rng.integers(0, CLASSES, (STEPS, BATCH))
    arrays = {"x": x, "labels": y, "head_weight": state["head.weight"].numpy()}
    arrays |= {"head_bias": state["head.bias"].numpy()}
    names = [f"classify/norm-{norm}/{name}" for norm in ("twice", "once") for name in TRAINS]
    cases = {}
    for case in names:
        model = Classifier(twice="twice" in case)
        model.load_state_dict(state)
        inputs, labels = torch.from_numpy(x) / SCALE, torch.from_numpy(y)
        steps = recorded(model, inputs, labels, case.rpartition("/")[2])
        arrays |= {f"{case}/{key}": value for key, value in steps.items()}
        cases[case] = {"trainable": sum(p.numel() for p in model.parameters() if p.requires_grad)}
    np.savez_compressed(folder / "arrays.npz", **arrays)
    encoder = {key: t.clone() for key, t in state.items() if key.startswith("encoder.")}
    save_file(encoder, folder / "model.safetensors", {"format": "pt"})
    shown = start.encoder.config.to_diff_dict() | SHAPE
    (folder / "config.json").write_text(json.dumps(shown, indent=1) + "\n")
    index = {"steps": STEPS, "batch": BATCH, "config": {"frames": 32, "classes": CLASSES}}
    (folder / "index.json").write_text(
        json.dumps(index | {"scale": SCALE, "cases": cases}, indent=1) + "\n"
    )
    reconstruct(folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))

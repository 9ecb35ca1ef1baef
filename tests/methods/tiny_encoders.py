"""Methods on the tiny AST: building them, and what to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from petl.backbones.encoder import Encoder
from petl.backbones.families import build_encoder
from petl.config import Task
from petl.config.study import EXPERIMENTS, load_study
from petl.config.yamlfile import read_yaml
from petl.model.build import Model, assemble

GOLDEN = Path(__file__).parent.parent / "golden"
PRESETS = list(read_yaml(EXPERIMENTS / "presets.yaml").data["methods"])
STUDY = """\
description: every method on the tiny AST
profile: {profile}
report: test_last
matrix: {{dataset: esc50, backbone: tiny, method: [{methods}], fold: 0, seed: 10}}
backbones: {{tiny: {{backbone: {{family: ast, source: "{source}"}}}}}}
set: {{dataset: {{frames: 100, classes: 5}}}}
when: [{{method: [{narrow}], set: {{method: {{block: {{reduction: 4}}}}}}}}]
"""


def tasks(folder: Path, profile: str) -> dict[str, Task]:
    """Each preset; what would be narrowed to a single unit is left wider."""
    wide = [name for name in PRESETS if "pfeiffer" in name or "houlsby" in name or "moa" in name]
    path = folder / f"{profile}.yaml"
    methods, narrow, source = ", ".join(PRESETS), ", ".join(wide), GOLDEN / "ast_tiny"
    path.write_text(STUDY.format(profile=profile, methods=methods, source=source, narrow=narrow))
    loaded = load_study(path).tasks
    deeper = {"last-3": {"family": "full", "layers": 1}}  # it has only two layers
    for i, task in enumerate(loaded):
        if task.names.method in deeper:
            settings = task.to_json() | {"method": deeper[task.names.method]}
            loaded[i] = Task.model_validate(settings)
    return {task.names.method: task for task in loaded}


def make_model(task: Task, method: dict[str, Any]) -> Model:
    task = Task.model_validate(task.to_json() | {"method": method})
    torch.manual_seed(0)
    return assemble(build_encoder(task.backbone, task.dataset.frames), task)


def over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = over(below, value) if both else value
    return merged


def encoder_of(model: Model) -> Encoder:
    return model.backbone


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.eval()(x)


def shake(model: nn.Module) -> None:
    """Away from where training starts, so that nothing is hidden behind a zero or a one."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter += 0.1 * noise.to(parameter.dtype)


def trained(model: Model) -> set[str]:
    """The trainable tensors of the backbone and the method, without layer numbers and wrappers."""
    names = (n.removeprefix("backbone.") for n, p in model.named_parameters() if p.requires_grad)
    return {name.replace(".inner", "") for name in names if not name.startswith("head.")}


def bottleneck(**settings: Any) -> dict[str, Any]:
    return {"kind": "bottleneck", "reduction": 4, "init": "normal"} | settings


def conformer(**settings: Any) -> dict[str, Any]:
    kind = {"kind": "conformer", "reduction": 4, "kernel": 8, "init": "default"}
    return kind | {"layer_norm": "ignored"} | settings


def convpass(**settings: Any) -> dict[str, Any]:
    kind = {"kind": "convpass", "reduction": 4, "init": "normal", "dropout": 0.0}
    return kind | {"convolution": "discarded"} | settings


def adapter(block: dict[str, Any], **settings: Any) -> dict[str, Any]:
    rest = {"placement": "pfeiffer", "composition": "parallel", "residual": False}
    return {"family": "adapter", "block": block} | rest | settings

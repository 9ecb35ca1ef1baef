"""`petl init --preset NAME`: a study with a copy of one preset, all its settings written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from petl.config import Task
from petl.config.presets import task_of
from petl.config.study import PRESETS, expand
from petl.config.yamlfile import parse_value, read_yaml
from petl.errors import UserError, nearest
from petl.files import refuse_existing, write_output
from petl.init.names import checked_name

KINDS = ("method", "backbone", "dataset")
USUAL = {"method": "lora", "backbone": "ast", "dataset": "esc50"}
"""What stands beside the preset."""


def init_preset(name: str, out: Path | None) -> list[Path]:
    presets = read_yaml(PRESETS).data
    kind = next((kind for kind in KINDS if name in presets[f"{kind}s"]), None)
    if kind is None:
        known = [preset for kind in KINDS for preset in presets[f"{kind}s"]]
        raise UserError(f"there is no preset '{name}'{nearest(name, known)}")
    out = out or Path(f"my-{name}.yaml")
    checked_name(out)
    refuse_existing(out)
    text = preset_text(kind, name)
    expand(parse_value(text), out.stem)
    write_output(out, text.encode())
    return [out]


def preset_text(kind: str, name: str) -> str:
    chosen = USUAL | {kind: name}
    if name == "wav2vec2":  # reads waveforms, which cannot be masked as ESC-50's spectrograms are
        chosen["dataset"] = "speech-commands"
    task = task_of(**chosen, profile="as-intended")
    mine = f"my-{name}"
    matrix = {key: f"[{name}, {mine}]" if key == kind else value for key, value in chosen.items()}
    return "\n".join(
        [
            f"# A copy of the preset '{name}' with all its settings: change what is to differ.",
            f"description: Variations of {name}",
            "",
            "matrix:",
            *(f"  {key}: {value}" for key, value in matrix.items()),
            "  fold: all",
            "  seed: 0",
            "",
            f"{kind}s:",
            f"  {mine}:              # a row or a column of the table, beside {name}",
            f"    like: {name}",
            f"    label: my {name}",
            *_settings(task, kind),
            "",
        ]
    )


def _settings(task: Task, kind: str) -> list[str]:
    whole = getattr(task, kind).model_dump(mode="json")
    unset = [key for key, value in whole.items() if value in (None, []) and key != "spec_augment"]
    settings: dict[str, Any] = {kind: {k: v for k, v in whole.items() if k not in unset}}
    if kind == "method":
        settings["train"] = {"lr": task.train.lr}
    if kind == "dataset":
        settings["train"] = {"epochs": task.train.epochs, "batch_size": task.train.batch_size}
    text = yaml.safe_dump(settings, sort_keys=False, default_flow_style=None, width=100)
    return [f"    {line}" for line in text.splitlines()]

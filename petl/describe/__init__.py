"""A model told in boxes: what stands in its layers, in which order, and what of it trains.

Made from the modules themselves, so that a picture cannot show what the model does not do. The
boxes know nothing of torch and nothing of drawing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from petl import config
from petl.backbones.known import bare
from petl.count import OnMeta
from petl.describe import methods  # noqa: F401  (flow learns what methods add)
from petl.describe.boxes import Box
from petl.describe.encoder import flow
from petl.errors import UserError, nearest
from petl.model import assemble, count_parameters
from petl.study import EXPERIMENTS, load_study
from petl.yamlfile import read_yaml


@dataclass(frozen=True)
class Description:
    """`layers` has one box for each, from below; `whole` counts every parameter there is."""

    label: str
    embeddings: Box
    layers: tuple[Box, ...]
    norm: Box
    head: Box
    trained: int
    without_head: int
    whole: int


def describe(task: config.Task) -> Description:
    """At full size and without a weight in memory."""
    with OnMeta():
        model = assemble(bare(task.backbone, task.dataset.frames), task)
    encoder, counts = model.backbone, count_parameters(model)
    return Description(
        task.names.method_label,
        flow(encoder.tokens),
        tuple(flow(layer) for layer in encoder.layers),
        flow(encoder.norm),
        replace(flow(model.head), name="Head"),
        counts["trainable"],
        counts["trainable_without_head"],
        counts["total"],
    )


def task_of(method: str, backbone: str = "ast", profile: str = "as-run") -> config.Task:
    """A preset's task on ESC-50."""
    presets = read_yaml(EXPERIMENTS / "presets.yaml").data
    for kind, name in (("method", method), ("backbone", backbone)):
        if name not in presets[f"{kind}s"]:
            raise UserError(f"unknown {kind} '{name}'{nearest(name, presets[f'{kind}s'])}")
    matrix = {"dataset": "esc50", "backbone": backbone, "method": method, "fold": 0, "seed": 0}
    study = {"description": "", "profile": profile, "report": "test_last", "matrix": matrix}
    with TemporaryDirectory() as folder:  # a study like any other, JSON being YAML
        path = Path(folder) / "study.yaml"
        path.write_text(json.dumps(study))
        try:
            return load_study(path).tasks[0]
        except UserError as error:  # of a file that nobody wrote there is no line to name
            raise UserError(str(error).removeprefix(f"{path}:1: ")) from None

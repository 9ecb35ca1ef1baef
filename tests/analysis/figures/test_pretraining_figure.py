"""`petl figure pretraining`: accuracy against the epochs of a checkpoint's pre-training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_figures import lines, told

from analysis.figures.figure import draw
from petl.config.study import Study, study_of
from petl.errors import UserError
from petl.runs.synthetic import fabricate

ACCURACY = {"masked-patches-20": 20, "masked-patches-5": 5, "ast-small": 10, "ast-new": 1}
OWN = {
    name: {"backbone": {"family": "ast", "source": f"./{name}"}}
    for name in ACCURACY
    if name.startswith("masked-patches")
}


def made(runs: Path, **matrix: Any) -> Study:
    every = {"dataset": "esc50", "backbone": [*ACCURACY], "method": "linear", "fold": 0, "seed": 10}
    study = study_of({"profile": "as-run", "matrix": every | matrix, "backbones": OWN}, "made-up")
    fabricate(study, runs, lambda task: ACCURACY[task.names.backbone] / 100, spread=0)
    return study


def test_an_objective_is_a_line_from_a_new_backbone_and_others_are_levels(tmp_path: Path) -> None:
    figure = draw("pretraining", made(tmp_path, method=["linear", "lora"]), tmp_path)
    for panel in (0, 1):
        found = lines(figure, panel)
        assert found["masked-patches"] == ([0, 5, 20], [1, 5, 20])
        assert found["ast-small"][1] == [10, 10]
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Linear", "LoRA"]
    assert figure.get_suptitle().startswith("SYNTHETIC")
    assert "not finished" not in told(figure)


def test_a_study_without_checkpoints_of_different_epochs_is_told_so(tmp_path: Path) -> None:
    study = made(tmp_path, backbone=["ast-new", "ast-small"])
    with pytest.raises(UserError, match="only the epochs of pre-training differ; 'pretraining'"):
        draw("pretraining", study, tmp_path)

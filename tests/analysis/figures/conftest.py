"""Studies of which figures are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from figure_studies import FEW, METHODS, Make

from petl.config import Task
from petl.config.study import Study, load_study
from petl.runs.synthetic import fabricate


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    def made(
        method: Sequence[str],
        dataset: Sequence[str] = ("esc50",),
        accuracy: Callable[[Task], float] = lambda task: 0.5,
        **more: Any,
    ) -> tuple[Study, Path]:
        folder = tmp_path_factory.mktemp("figures")
        matrix = {"dataset": list(dataset), "method": list(method), "backbone": "ast", "seed": 10}
        file = {
            **{"description": "made up", "profile": "as-run", "report": "test_last"},
            **{"matrix": matrix | {"fold": more.pop("fold", [0, 1])}},
            **{"methods": METHODS, "datasets": FEW, "set": {"train": {"epochs": 3}}},
        }
        (folder / "small.yaml").write_text(yaml.safe_dump(file))
        study = load_study(folder / "small.yaml")
        fabricate(study, folder / "runs", accuracy, spread=0, **more)
        return study, folder / "runs"

    return made

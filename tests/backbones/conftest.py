"""Small models of the library's own, on random weights where nothing is 0 or 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers
from small_models import perturb
from torch import nn


@pytest.fixture
def library(tmp_path: Path):
    """A model of the library's class, in eval mode, and the folder it has written."""

    def make(name: str, settings: dict[str, Any]) -> tuple[nn.Module, Path]:
        cls = getattr(transformers, name)
        model = cls(cls.config_class(**settings)).eval()
        perturb(model)
        folder = tmp_path / name
        model.save_pretrained(folder)
        return model, folder

    return make

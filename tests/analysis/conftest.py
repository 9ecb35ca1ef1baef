"""Studies whose runs are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_study import MadeStudy, result

from petl.config import Task


@pytest.fixture
def made_study(tmp_path: Path) -> Callable[..., MadeStudy]:
    """`made_study(matrix={...}).run(lambda task: 0.9)`"""
    return lambda **file: MadeStudy(tmp_path, **file)


@pytest.fixture
def made_result() -> Callable[[Task, float], dict[str, Any]]:
    return result

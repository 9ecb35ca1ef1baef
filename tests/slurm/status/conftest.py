"""What tests of a run's state share."""

from __future__ import annotations

from pathlib import Path

import pytest
from told_scheduler import Scheduler, submit

from petl.config.study import Study


@pytest.fixture
def scheduler(study: Study, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    return Scheduler(monkeypatch, submit(study, runs))

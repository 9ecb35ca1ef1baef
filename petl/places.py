"""The folders of runs, datasets and caches. Not part of a task: they do not change its numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    runs: Path
    data: Path
    cache: Path

    @classmethod
    def choose(
        cls, runs: Path | None = None, data: Path | None = None, cache: Path | None = None
    ) -> Places:
        """Options first, then the environment (PETL_RUNS, ...), then folders in the current one."""
        return cls(
            (runs or Path(os.environ.get("PETL_RUNS", "runs"))).absolute(),
            (data or Path(os.environ.get("PETL_DATA", "data"))).absolute(),
            (cache or Path(os.environ.get("PETL_CACHE", "cache"))).absolute(),
        )

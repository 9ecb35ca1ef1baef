"""Where things lie: runs, datasets, caches. Not part of a task: they cannot change its numbers."""

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
        """An option given wins over the environment (PETL_RUNS, ...), that over a folder here."""
        return cls(
            (runs or Path(os.environ.get("PETL_RUNS", "runs"))).absolute(),
            (data or Path(os.environ.get("PETL_DATA", "data"))).absolute(),
            (cache or Path(os.environ.get("PETL_CACHE", "cache"))).absolute(),
        )

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
        cls,
        runs: str | Path | None = None,
        data: str | Path | None = None,
        cache: str | Path | None = None,
    ) -> Places:
        """Options first, then the environment (PETL_RUNS, ...), then folders in the current one."""
        return cls(
            Path(runs or os.environ.get("PETL_RUNS", "runs")).absolute(),
            Path(data or os.environ.get("PETL_DATA", "data")).absolute(),
            Path(cache or os.environ.get("PETL_CACHE", "cache")).absolute(),
        )

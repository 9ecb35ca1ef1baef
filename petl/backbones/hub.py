"""Where published weights are: fetched once into the cache, at a commit that is written down.

No torch and no Hugging Face library here: a login node asks whether a study's weights are there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from petl.config import Task
from petl.config.backbone import NEW
from petl.files import read_json, write_json
from petl.places import Places

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
"""Of files with tensors."""
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Hub:
    """A cache as Hugging Face's library lays it out, and petl's record of commits beside it."""

    folder: Path
    commits: Mapping[str, str] = field(default_factory=dict)
    """By name: what a finished run used, for whoever uses the run."""

    @classmethod
    def of(cls, places: Places, commits: Mapping[str, str] | None = None) -> Hub:
        """In HF_HOME, if that is set, else in petl's cache."""
        home = os.environ.get("HF_HOME")
        return cls((Path(home) if home else places.cache / "huggingface") / "hub", commits or {})

    @property
    def record(self) -> Path:
        return self.folder / "petl-commits.json"

    def commit(self, name: str) -> str | None:
        """The one to use: a run's own, what PETL_HF_REVISION pins, or what was fetched."""
        return self.commits.get(name) or _pinned(name) or self._fetched(name)

    def _fetched(self, name: str) -> str | None:
        record = read_json(self.record)
        commit = record.get(name) if isinstance(record, dict) else None
        return commit if isinstance(commit, str) and COMMIT.fullmatch(commit) else None

    def write_down(self, name: str, commit: str) -> None:
        record = read_json(self.record)
        write_json(self.record, (record if isinstance(record, dict) else {}) | {name: commit})

    def snapshot(self, name: str) -> Path | None:
        """The folder with both files of the commit to use, if they have been fetched."""
        commit = self.commit(name)
        if commit is None or not COMMIT.fullmatch(commit):
            return None
        folder = self.folder / f"models--{name.replace('/', '--')}" / "snapshots" / commit
        whole = (folder / "config.json").is_file()
        return folder if whole and any((folder / file).is_file() for file in WEIGHTS) else None


def _pinned(name: str) -> str | None:
    """PETL_HF_REVISION=owner/name@commit,... pins what is used."""
    pins = os.environ.get("PETL_HF_REVISION", "").split(",")
    return next((pin.rpartition("@")[2] for pin in pins if pin.startswith(f"{name}@")), None)


def is_published(source: str) -> bool:
    """A name of Hugging Face, owner/name, and neither a folder nor a file."""
    named = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source) and not source.endswith(ENDINGS)
    return bool(named) and not Path(source).exists()


def published(tasks: Iterable[Task]) -> list[str]:
    """The published backbones of these tasks, each once."""
    return list(dict.fromkeys(t.backbone.source for t in tasks if is_published(t.backbone.source)))


def missing(tasks: Iterable[Task], places: Places) -> list[str]:
    """Those that a job would have to download."""
    hub = Hub.of(places)
    here = (hub.snapshot, _is_in_users_cache)
    return [name for name in published(tasks) if not any(look(name) for look in here)]


def absent(tasks: Iterable[Task], places: Places) -> list[str]:
    """Folders and files of weights that are not here, each once.

    A name like `pretrained/mine` could be one of Hugging Face; beside other folders it is a path.
    """
    tasks = list(tasks)
    unknown = {name for name in missing(tasks, places) if Path(name).parent.is_dir()}
    return [
        source
        for source in dict.fromkeys(task.backbone.source for task in tasks)
        if source in unknown
        or not (
            source == NEW
            or source.startswith("builtin:")
            or is_published(source)
            or Path(source).exists()
        )
    ]


def _is_in_users_cache(name: str) -> bool:
    """The library's own cache, which runs look into as well."""
    cache = os.environ.get("HF_HUB_CACHE") or Path.home() / ".cache" / "huggingface" / "hub"
    folder = Path(cache) / f"models--{name.replace('/', '--')}" / "snapshots"
    return any((found / "config.json").is_file() for found in folder.glob("*"))

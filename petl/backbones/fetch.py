"""Downloading published weights into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from petl.backbones.hub import WEIGHTS, Hub
from petl.errors import UserError


def fetch(name: str, hub: Hub, update: bool = False) -> Path:
    """The folder with both files, of the commit written down or else of the newest."""
    config, weights = download(name, None if update else hub.commit(name), hub.folder)
    hub.write_down(name, config.parent.name)
    return weights.parent


def download(name: str, commit: str | None, folder: Path | None = None) -> tuple[Path, Path]:
    """Both files of one commit; by default into the library's own cache."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import EntryNotFoundError  # type: ignore[attr-defined]

    where: dict[str, Any] = {"cache_dir": str(folder)} if folder else {}
    try:
        config = Path(hf_hub_download(name, "config.json", revision=commit, **where))
        for file in WEIGHTS:
            try:
                same = config.parent.name
                return config, Path(hf_hub_download(name, file, revision=same, **where))
            except EntryNotFoundError:
                continue
    except Exception as error:  # no network, no such name, no access: one line for all
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"backbone.source: cannot fetch '{name}' from Hugging Face: {reason}; where there is a "
            "network, `petl fetch STUDY` downloads it into the cache"
        ) from error
    raise UserError(f"backbone.source: '{name}' has neither {' nor '.join(WEIGHTS)}")

"""A backbone from Hugging Face: both files of one commit, which can be pinned and is recorded."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import pytest

from petl.backbones.library import read_checkpoint, revision_of

NAME = "someone/ast"


@pytest.mark.parametrize("pin", [None, "b" * 40])
def test_the_weights_are_of_the_configs_commit(
    pin: str | None, tmp_path: Path, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, file: str, revision: str | None) -> str:
        asked.append((file, revision))
        folder = tmp_path / (revision or "a" * 40)
        shutil.copytree(golden / "ast_tiny", folder, dirs_exist_ok=True)
        if not (folder / file).exists():
            raise huggingface_hub.utils.EntryNotFoundError(file)
        return str(folder / file)

    def cached(name: str, file: str, revision: str | None) -> str:
        return str(tmp_path / (revision or "a" * 40) / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    if pin:
        monkeypatch.setenv("PETL_HF_REVISION", f"other/model@{'c' * 40},{NAME}@{pin}")
    commit = pin or "a" * 40
    read_checkpoint(NAME)
    names = ("config.json", "model.safetensors", "pytorch_model.bin")
    assert asked == [(name, pin if name == "config.json" else commit) for name in names]
    assert revision_of(NAME) == commit
    assert revision_of(str(golden / "ast_tiny")) is None and revision_of("builtin:small") is None

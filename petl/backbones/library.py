"""A backbone's files: config.json and its weights, from a folder, a file or a Hugging Face name.

Weights come from safetensors or from what torch.save wrote; tensor_file.py reads both and runs no
code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from petl.backbones.fetch import download
from petl.backbones.hub import ENDINGS, WEIGHTS, Hub, is_published
from petl.backbones.tensor_file import read_tensors
from petl.errors import UserError, nearest
from petl.files import read_json
from petl.places import Places

BUILTIN = Path(__file__).resolve().parent
MAX_CONFIG = 1_000_000


def read_checkpoint(
    source: str, hub: Hub | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The checkpoint's config and its tensors under the names it gives them."""
    config_file, weights_file = locate(source, hub)
    return read_config(config_file), read_tensors(weights_file)


def read_config(file: Path) -> dict[str, Any]:
    """A config.json, which has a few kilobytes: a large one could exhaust memory."""
    if file.is_file() and file.stat().st_size > MAX_CONFIG:
        raise UserError(f"{file}: larger than {MAX_CONFIG:,} bytes, so it is no backbone's config")
    config = read_json(file)
    if not isinstance(config, dict):
        raise UserError(f"{file}: not a JSON object; a backbone needs its config.json")
    return _Config(file, config)


class _Config(dict[str, Any]):
    """A config.json that names a missing key in an error."""

    def __init__(self, file: Path, values: dict[str, Any]):
        super().__init__(values)
        self.file = file

    def __missing__(self, key: str) -> Any:
        raise UserError(f"{self.file}: '{key}' is missing")


def expect(config: dict[str, Any], source: str, **wanted: Any) -> None:
    """Refuse a checkpoint that our encoder could load but would compute differently."""
    for key, value in wanted.items():
        if config.get(key, value) != value:
            have = f"its {key} is {config[key]!r}"
            raise UserError(f"{source}: {have}; this backbone family needs {value!r}")


def locate(source: str, hub: Hub | None = None) -> tuple[Path, Path]:
    if source.startswith("builtin:"):
        name = source.removeprefix("builtin:")
        folder = BUILTIN / name
        if not (folder / "config.json").is_file():
            have = [f"builtin:{p.parent.name}" for p in BUILTIN.glob("*/config.json")]
            raise UserError(f"backbone.source: there is no '{source}'{nearest(source, have)}")
        return _in_folder(folder)
    if Path(source).is_dir():
        return _in_folder(Path(source))
    if Path(source).is_file():
        return Path(source).with_name("config.json"), Path(source)
    if not is_published(source):
        raise UserError(
            f"backbone.source: '{source}' is neither a folder nor a file of weights, nor a Hugging "
            "Face name (owner/name)"
        )
    return _from_hub(source, hub or Hub.of(Places.choose()))


def _in_folder(folder: Path) -> tuple[Path, Path]:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / "config.json", folder / name
    others = sorted(file for file in folder.iterdir() if file.suffix in ENDINGS and file.is_file())
    if len(others) == 1:
        return folder / "config.json", others[0]
    if others:
        names = ", ".join(file.name for file in others[:3])
        raise UserError(f"{folder}: has several files of weights ({names}); give one of them")
    raise UserError(f"{folder}: has neither {' nor '.join(WEIGHTS)}, nor another file of weights")


def _from_hub(name: str, hub: Hub) -> tuple[Path, Path]:
    """Both files of one commit: fetched before, else downloaded into the library's own cache."""
    if folder := hub.snapshot(name):
        return _in_folder(folder)
    return download(name, hub.commit(name))


def revision_of(source: str, hub: Hub | None = None) -> str | None:
    """The commit of a backbone that was fetched from Hugging Face; None for a folder."""
    if not is_published(source):
        return None
    hub = hub or Hub.of(Places.choose())
    if folder := hub.snapshot(source):
        return folder.name
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(source, "config.json", revision=hub.commit(source))
    return Path(file).parent.name if isinstance(file, str) else None

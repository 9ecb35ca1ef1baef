"""Which layout a checkpoint is in, and its tensors and shape in the words of the library's AST."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor

from petl.backbones import ast
from petl.backbones.hub import Hub
from petl.backbones.layouts.translated import (
    CLS,
    DIST,
    PATCH,
    POSITION,
    Tensors,
    Translated,
    need,
    said,
    side_of,
)
from petl.backbones.library import locate, read_config
from petl.backbones.patches import grid
from petl.backbones.tensor_file import read_tensors
from petl.config.front_end import BINS
from petl.errors import UserError

LAYOUTS = ("reconstruction", "ssast", "audio_mae", "eat")
LIBRARY, OWN_NAME = r"(audio_spectrogram_transformer\.)?(encoder\.layer|layers)\.\d", "library"
LAYER = re.compile(r"encoder\.layer\.(\d{1,4})\.")
HEADS = {192: 3, 384: 6, 768: 12, 1024: 16}
"""By width, in every published model of these layouts."""
STRIDES, FRAMES = (10, 16), 1024
"""Of the published models in the library's names: with their number of patches, they are meant."""
NEEDED = (
    *("num_attention_heads", "frequency_stride", "time_stride", "max_length"),
    *("hidden_size", "num_hidden_layers", "intermediate_size", "patch_size"),
)


@dataclass(frozen=True)
class Checkpoint:
    """A backbone's config and tensors, both in the library's words, and what was left out.

    `variant` is what the AST of this layout has otherwise: see `make` of petl/backbones/ast.py.
    """

    layout: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    variant: dict[str, Any] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_ast(source: str, hub: Hub | None = None) -> Checkpoint:
    """A checkpoint for the family `ast`, in any layout, with or without its config.json."""
    config_file, weights = locate(source, hub)
    config = read_config(config_file) if config_file.exists() else {}
    tensors = read_bare(weights)
    layout = layout_of(tensors, source)
    if layout == OWN_NAME and "hidden_size" in config:
        return Checkpoint(layout, config, tensors)
    return _translated(layout, tensors, config, source, config_file)


def read_bare(weights: Path) -> dict[str, Tensor]:
    """A file's tensors, without the prefix of PyTorch's DataParallel."""
    tensors = read_tensors(weights)
    prefix = "module." if all(name.startswith("module.") for name in tensors) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def layout_of(names: Iterable[str], source: str) -> str:
    """The library's own unless a name belongs to another. Tensors of two are refused."""
    marks = {layout: _module(layout).MARK for layout in LAYOUTS} | {OWN_NAME: LIBRARY}
    found = {
        layout: name for name in names for layout, mark in marks.items() if re.match(mark, name)
    }
    if len(found) > 1:
        (_, one), (_, other), *_ = sorted(found.items())
        raise UserError(f"{source}: tensors of two layouts, such as {one} and {other}")
    return next(iter(found), OWN_NAME)


def _module(layout: str) -> Any:
    return import_module(f"petl.backbones.layouts.{layout}")


def _translated(
    layout: str, tensors: Tensors, config: dict[str, Any], source: str, config_file: Path
) -> Checkpoint:
    name = OWN_NAME if layout == OWN_NAME else _module(layout).NAME
    try:
        if layout == OWN_NAME:
            prefix = ast.NAMING.prefix
            bare = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
            found = Translated(bare, said(config), [])
        else:
            found = _module(layout).translate(tensors, config)
        special = ("cls", "dist") if DIST in found.tensors else ("cls",)
        shape, notes = _shape(found, len(special), config_file)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    except (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        line = str(error).partition("\n")[0]
        raise UserError(f"{source}: cannot be read as {name}: {line}") from None
    variant = {"special": special, "norm": "post" if found.post_norm else "pre"}
    if special == ("cls",):
        notes = ["no DIST token", *notes]
    return Checkpoint(layout, shape, found.tensors, variant, found.dropped, found.notes + notes)


def _shape(found: Translated, special: int, config_file: Path) -> tuple[dict[str, Any], list[str]]:
    """A config of the library: what the tensors say, under what the layout and config.json say."""
    tensors = found.tensors
    need(tensors, f"{PATCH}.weight", POSITION, CLS)
    up = tensors.get("encoder.layer.0.intermediate.dense.weight")
    side, notes = side_of(tensors), []
    shape: dict[str, Any] = {
        "model_type": ast.EXPECTED["model_type"],
        "hidden_size": len(tensors[f"{PATCH}.weight"]),
        "num_hidden_layers": len({m[1] for name in tensors if (m := LAYER.match(name))}),
        "qkv_bias": "encoder.layer.0.attention.attention.query.bias" in tensors,
        "layer_norm_eps": 1e-12,
        "patch_size": side,
        "num_mel_bins": BINS,
    }
    if up is not None:
        shape["intermediate_size"] = len(up)
    if "max_length" not in found.facts:
        shape |= _usual_grid(tensors[POSITION].shape[1] - special, side)
    shape |= found.facts
    if "num_attention_heads" not in shape and shape["hidden_size"] in HEADS:
        shape["num_attention_heads"] = heads = HEADS[shape["hidden_size"]]
        notes = [f"{heads} heads, as published for {shape['hidden_size']}: its tensors do not say"]
    if missing := [key for key in NEEDED if key not in shape]:
        raise UserError(
            f"its tensors do not say {', '.join(missing)}: write "
            f"{'them' if len(missing) > 1 else 'it'} as JSON into {config_file}"
        )
    return shape, notes


def _usual_grid(patches: int, side: int) -> dict[str, int]:
    """Strides and frames, where the number of patches is that of a published model."""
    for stride in STRIDES if side <= BINS else ():
        rows, columns = grid((BINS, FRAMES), side, (stride, stride))
        if patches == rows * columns:
            return {"frequency_stride": stride, "time_stride": stride, "max_length": FRAMES}
    return {}

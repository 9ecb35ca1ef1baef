"""Checkpoints of other programs compute here what they compute there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_models as foreign
import pytest
import torch
from foreign_models import COLUMNS, FRAMES, HEADS, Tensors
from safetensors.torch import load_file, save_file
from small_models import AST, ast, deviation, noise
from torch.nn import functional as F

from petl import config
from petl.backbones.families import bare_encoder, build_encoder, family_of
from petl.backbones.layouts.read import read_bare
from petl.backbones.library import locate
from petl.errors import UserError
from petl.model.build import Model

BAND_FIRST = torch.arange(8 * COLUMNS).view(8, COLUMNS)
"""The number of each patch here, band by band; frame by frame it is the transpose."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    def make(tensors: Tensors, said: dict[str, Any] | None = None, name="model.pth") -> Path:
        file = tmp_path / name
        if said is not None:
            (tmp_path / "config.json").write_text(json.dumps(said))
        if file.suffix == ".safetensors":
            save_file({key: t.contiguous() for key, t in tensors.items()}, file)
        else:
            torch.save(tensors, file)
        return file

    return make


def refusal(settings: config.AST, frames: int = 128) -> str:
    with pytest.raises(UserError) as error:
        build_encoder(settings, frames)
    assert "\n" not in str(error.value)
    return str(error.value)


def same_tokens(ours: torch.Tensor, theirs: torch.Tensor, special: int, turned: bool) -> float:
    """How far apart, after bringing their patches into our order."""
    order = BAND_FIRST.t().flatten().argsort() if turned else BAND_FIRST.flatten()
    return deviation(ours, torch.cat([theirs[:, :special], theirs[:, special:][:, order]], dim=1))


TIMM = {"architecture": "vit_base_patch16_224", "model_args": {"img_size": [FRAMES, 128]}}
CASES = {
    "Audio-MAE": (
        foreign.audio_mae,
        foreign.timm() | {"decoder_pos_embed": torch.ones(3), "mask_token": torch.ones(1, 1, 8)},
        TIMM | {"model_args": {"img_size": [FRAMES, 128], "num_heads": HEADS}},
        {"layout": "audio_mae", "dropped": {"decoder_pos_embed": 1, "mask_token": 1}},
    ),
    "SSAST": (
        foreign.ssast,
        foreign.ssast_file(),
        {"num_attention_heads": HEADS},
        {"layout": "ssast", "dropped": {"mask_embed": 1, "gpredlayer": 1, "v": 1}},
    ),
    "EAT": (
        foreign.eat,
        foreign.eat_file(COLUMNS + 5),
        {"model_type": "eat", "num_heads": HEADS, "img_size": [FRAMES, 128], "max_length": 768},
        {"layout": "eat", "dropped": {}},
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_another_programs_checkpoint_computes_the_same(case: str, name: str, checkpoint) -> None:
    forward, tensors, said, wanted = CASES[case]
    file = checkpoint(tensors, said, name)
    x, special = noise(3, FRAMES, 128), 2 if case == "SSAST" else 1
    for source in (file, file.parent):
        encoder = build_encoder(ast(source), FRAMES).eval()
        with torch.no_grad():
            ours, theirs = encoder(x), forward(x, tensors)
        assert same_tokens(ours, theirs, special, turned=case != "SSAST") < 1e-5
    origin = encoder.origin
    assert origin is not None and not origin.new
    assert {"layout": origin.layout, "dropped": origin.dropped} == wanted
    assert ("no DIST token" in origin.notes) == (case != "SSAST")
    assert family_of(str(file)) == "ast"
    bare = bare_encoder(ast(file), FRAMES)
    assert {n: p.shape for n, p in bare.named_parameters()} == {
        n: p.shape for n, p in encoder.named_parameters()
    }


def test_positions_counted_frame_by_frame_are_stretched_along_their_own_axes(checkpoint) -> None:
    """A position that says its own frame: twice as long a clip reads every frame twice."""
    tensors = foreign.timm()
    frame = torch.arange(float(COLUMNS)).repeat_interleave(8)[None, :, None]
    tensors["pos_embed"][:, 1:] = frame
    file = checkpoint(tensors, {"model_args": {"num_heads": HEADS}})
    encoder = build_encoder(ast(file), 2 * FRAMES)
    position = encoder.tokens.position[0, 1:].unflatten(0, (8, 2 * COLUMNS))
    assert torch.equal(position, position[:1].expand_as(position))
    frames = torch.arange(float(COLUMNS))[None, None]
    times = F.interpolate(frames, scale_factor=2, mode="linear")
    assert torch.allclose(position[0, :, 0], times[0, 0])
    assert encoder.origin.grids == ((8, COLUMNS), (8, 2 * COLUMNS))


def test_a_model_for_reconstruction_loads_to_the_bit(library, checkpoint) -> None:
    _, folder = library("ASTModel", AST)
    own = {f"encoder.{name}": tensor for name, tensor in read_bare(locate(str(folder))[1]).items()}
    rest = {f"projector.{end}": torch.ones(4) for end in ("weight", "bias")}
    rest |= {f"decoder.{n}.{end}": torch.ones(4) for n in (0, 2) for end in ("weight", "bias")}
    file = checkpoint(own | rest, json.loads((folder / "config.json").read_text()))
    x = noise(2, 128, 128)
    plain, inside = (build_encoder(ast(source), 128).eval() for source in (folder, file))
    assert torch.equal(plain(x), inside(x))
    origin = inside.origin
    assert str(origin) == (
        f"layout reconstruction; {len(own)} tensors taken; dropped: projector (2), decoder (4); "
        "new: none; patches 12 x 10"
    )
    assert build_encoder(ast(folder, "zeros"), 200).origin.new == ("position embeddings",)


def test_the_recorded_checkpoint_loads_to_the_bit(golden_ssl: Path) -> None:
    given = load_file(str(golden_ssl / "model.safetensors"))
    encoder = build_encoder(ast(golden_ssl), 128)
    assert torch.equal(encoder.tokens.position, given["encoder.embeddings.position_embeddings"])
    qkv = encoder.layers[3].attention.qkv.linear.weight.chunk(3)
    for ours, name in zip(qkv, ("query", "key", "value"), strict=True):
        theirs = given[f"encoder.encoder.layer.3.attention.attention.{name}.weight"]
        assert torch.equal(ours, theirs)
    assert encoder.origin.dropped == {"decoder": 4, "projector": 2}


def test_what_tensors_cannot_say_is_asked_for(library, checkpoint) -> None:
    model, folder = library("ASTModel", AST)
    file = checkpoint(read_bare(locate(str(folder))[1]), name="alone.safetensors")
    assert refusal(ast(file)) == (
        f"{file}: its tensors do not say num_attention_heads, frequency_stride, time_stride, "
        f"max_length: write them as JSON into {file.parent / 'config.json'}"
    )
    asked = {"num_attention_heads": 4, "frequency_stride": 10, "time_stride": 12, "max_length": 128}
    checkpoint({}, asked, "other.pth").unlink()
    x = noise(2, 128, 128)
    with torch.no_grad():
        ours = build_encoder(ast(file), 128).eval()(x)
        assert deviation(ours, model(x).last_hidden_state) < 1e-5


def test_a_published_size_needs_no_config(checkpoint) -> None:
    """192 wide and 16 x 16 patches: 3 heads, and the grid of 1,024 frames at stride 10."""
    tensors = {
        "embeddings.cls_token": torch.ones(1, 1, 192),
        "embeddings.distillation_token": torch.ones(1, 1, 192),
        "embeddings.position_embeddings": torch.ones(1, 2 + 12 * 101, 192),
        "embeddings.patch_embeddings.projection.weight": torch.ones(192, 1, 16, 16),
        "embeddings.patch_embeddings.projection.bias": torch.ones(192),
        "layernorm.weight": torch.ones(192),
        "layernorm.bias": torch.ones(192),
    }
    encoder = build_encoder(ast(checkpoint(tensors | layer_of_192())), 1024)
    assert (encoder.shape.heads, encoder.tokens.patch.stride) == (3, (10, 10))
    assert encoder.origin.notes == ("3 heads, as published for 192: its tensors do not say",)


def layer_of_192() -> Tensors:
    shapes = {"intermediate.dense": (64, 192), "output.dense": (192, 64)}
    shapes |= {f"attention.attention.{name}": (192, 192) for name in ("query", "key", "value")}
    shapes |= {"attention.output.dense": (192, 192)}
    tensors = {f"{name}.weight": torch.ones(size) for name, size in shapes.items()}
    tensors |= {f"{name}.bias": torch.ones(size[0]) for name, size in shapes.items()}
    norms = [f"layernorm_{where}.{end}" for where in ("before", "after") for end in foreign.ENDS]
    tensors |= {name: torch.ones(192) for name in norms}
    return {f"encoder.layer.0.{name}": tensor for name, tensor in tensors.items()}


def test_cls_and_dist_are_not_pooled_where_there_is_no_dist(checkpoint) -> None:
    file = checkpoint(foreign.timm(), {"model_args": {"num_heads": HEADS}})
    told = refusal(ast(file).model_copy(update={"pooling": "cls+dist"}), FRAMES)
    assert f"'cls+dist' needs a DIST token, and {file} has CLS alone" in told
    model = Model(build_encoder(ast(file), FRAMES), torch.nn.Identity(), "speech")
    h = noise(2, 1 + 8 * COLUMNS, 32)
    assert torch.allclose(model.pool(h), h[:, 1:].mean(dim=1))


def test_a_norm_behind_the_pooling_is_taken_and_told(checkpoint) -> None:
    tensors = {re.sub("^norm", "fc_norm", name): t for name, t in foreign.timm().items()}
    encoder = build_encoder(ast(checkpoint(tensors, {"model_args": {"num_heads": HEADS}})), FRAMES)
    assert torch.equal(encoder.norm.weight, tensors["fc_norm.weight"])
    assert "fc_norm" in encoder.origin.notes[0]

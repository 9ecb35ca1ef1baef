"""Files that are not the backbone they should be: one line that says what, and nothing is run."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_models import AST, WAVES, ast, noise, vit, wav2vec2

from petl.backbones.families import build_encoder
from petl.backbones.tensor_file import read_tensors
from petl.errors import UserError

Tensors = dict[str, torch.Tensor]
QUERY = "encoder.layer.1.attention.attention.query.weight"


@pytest.fixture
def changed(library) -> Callable[..., Path]:
    """An AST's folder after somebody changed its tensors or its config."""

    def make(change: Callable[[Tensors], object] = len, **settings) -> Path:
        _, folder = library("ASTModel", AST)
        (weights,) = folder.glob("*model.*")
        tensors = read_tensors(weights)
        weights.unlink()
        change(tensors)
        save_file(
            {name: t.contiguous() for name, t in tensors.items()}, folder / "model.safetensors"
        )
        said = json.loads((folder / "config.json").read_text()) | settings
        said = {key: value for key, value in said.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(said))
        return folder

    return make


def refusal(settings, frames: int = 128) -> str:
    with pytest.raises(UserError) as error:
        build_encoder(settings, frames)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_tensors_are_listed_under_the_librarys_names(changed) -> None:
    def lose(tensors: Tensors) -> None:
        del tensors[QUERY], tensors["layernorm.bias"]

    told = refusal(ast(changed(lose)))
    assert told.endswith(f"do not fit: {QUERY} is missing; layernorm.bias is missing")


def test_unexpected_tensors_are_listed(changed) -> None:
    told = refusal(ast(changed(lambda t: t.update({"encoder.extra": torch.ones(1)}))))
    assert told.endswith("encoder.extra is unexpected")


@pytest.mark.parametrize("layers, told", [(2, "is unexpected"), (4, "is missing")])
def test_a_layer_too_many_or_too_few(layers: int, told: str, changed) -> None:
    """Its sixteen tensors are counted, and three of them listed."""
    message = refusal(ast(changed(num_hidden_layers=layers)))
    assert message.count(told) == message.count("encoder.layer.") == 3
    assert message.endswith("(and 13 more)")


@pytest.mark.parametrize("shape", [(31, 32), (32, 31), (32,), (1, 32, 32)])
def test_misshapen_tensors_are_listed(shape: tuple[int, ...], changed) -> None:
    told = refusal(ast(changed(lambda t: t.update({QUERY: torch.ones(shape)}))))
    assert told.endswith(f"{QUERY} is {shape}, not (32, 32)")


def test_positions_of_another_grid_than_the_config_says(changed) -> None:
    told = refusal(ast(changed(max_length=256)))
    assert "embeddings.position_embeddings is (1, 122, 32), not (1, 254, 32)" in told


def test_a_backbone_of_another_family_is_named(changed, library) -> None:
    folder = changed()
    assert (
        "model_type is 'audio-spectrogram-transformer'; this backbone family needs 'vit'"
        in refusal(vit(folder))
    )
    _, waves = library("Wav2Vec2Model", WAVES)
    assert "model_type is 'wav2vec2'" in refusal(ast(waves))


def test_what_our_encoder_does_not_compute_is_refused(changed) -> None:
    assert "its hidden_act is 'relu'" in refusal(ast(changed(hidden_act="relu")))


def test_a_config_that_lacks_a_number(changed) -> None:
    folder = changed(num_attention_heads=None)
    assert refusal(ast(folder)) == f"{folder / 'config.json'}: 'num_attention_heads' is missing"


def test_a_config_that_is_none(changed) -> None:
    folder = changed()
    for text in ("", "[1]", "{"):
        (folder / "config.json").write_text(text)
        assert "a backbone needs its config.json" in refusal(ast(folder))


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -1])
def test_a_truncated_safetensors_is_refused(kept: float, changed) -> None:
    file = changed() / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole)) if kept == 0.5 else int(kept)])
    assert refusal(ast(file.parent)).startswith(f"{file}: cannot be read as weights: ")


def test_half_precision_is_read_as_single(changed) -> None:
    def halve(tensors: Tensors) -> None:
        tensors.update({name: t.half() for name, t in tensors.items()})

    encoder = build_encoder(ast(changed(halve)), 128)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


class Trap:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


@pytest.mark.parametrize("writer", ["torch", "torch-legacy", "pickle"])
def test_a_pickle_that_runs_code_is_refused_and_not_run(writer: str, changed, tmp_path) -> None:
    folder, sprung = changed(), tmp_path / "sprung"
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    bait = {"layernorm.bias": torch.ones(32), "trap": Trap(sprung)}
    if writer == "pickle":
        file.write_bytes(pickle.dumps(bait))
    else:
        torch.save(bait, file, _use_new_zipfile_serialization=writer == "torch")
    told = refusal(ast(folder))
    assert told.startswith(f"{file}: cannot be read as weights: ")
    assert not sprung.exists()
    torch.load(file, **unsafe()) if writer != "pickle" else pickle.loads(file.read_bytes())
    assert sprung.exists(), "the trap would have sprung"


def unsafe() -> dict[str, bool]:
    """Newer versions of torch are careful unless told not to be."""
    return {"weights_only": False}


@pytest.mark.parametrize("content", [[torch.ones(1)], {"epoch": 3}, torch.ones(2)])
def test_weights_that_are_no_named_tensors_are_refused(content, changed) -> None:
    folder = changed()
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    assert "holds something other than named tensors" in refusal(ast(folder))


def test_spectrograms_given_to_wav2vec2_are_refused(library) -> None:
    _, folder = library("Wav2Vec2Model", WAVES)
    encoder = build_encoder(wav2vec2(folder), 100)
    with pytest.raises(UserError, match=re.escape("not (2, 100, 128)")):
        encoder(noise(2, 100, 128))


def test_a_folder_without_weights_or_that_is_not_there(tmp_path) -> None:
    assert "has neither model.safetensors nor pytorch_model.bin" in refusal(ast(tmp_path))
    assert "neither a folder nor" in refusal(ast(tmp_path / "nowhere"))
    assert "there is no 'builtin:smal'" in refusal(ast(Path("builtin:smal")))

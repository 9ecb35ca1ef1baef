"""Each backbone computes what the library's own model computes from the same files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_models import (
    AST,
    LARGE_WAVES,
    VIT,
    WAVES,
    ast,
    deviation,
    noise,
    vit,
    wav2vec2,
)

from petl.backbones.families import build_encoder

TOLERANCE = 1e-5
CASES = {
    "AST": ("ASTModel", AST, ast),
    "AST without qkv bias": ("ASTModel", AST | {"qkv_bias": False}, ast),
    "AST with a head": ("ASTForAudioClassification", AST, ast),
    "ViT": ("ViTModel", VIT, vit),
    "ViT of one channel": ("ViTModel", VIT | {"num_channels": 1}, vit),
    "ViT with a head": ("ViTForImageClassification", VIT, vit),
    "wav2vec 2.0": ("Wav2Vec2Model", WAVES, wav2vec2),
    "wav2vec 2.0, pre-norm": ("Wav2Vec2Model", LARGE_WAVES, wav2vec2),
    "wav2vec 2.0 with a head": ("Wav2Vec2ForSequenceClassification", WAVES, wav2vec2),
    "wav2vec 2.0 for speech": ("Wav2Vec2ForCTC", WAVES | {"vocab_size": 12}, wav2vec2),
    "wav2vec 2.0 in pre-training": ("Wav2Vec2ForPreTraining", WAVES, wav2vec2),
}


def both(model, settings, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    base = model.base_model
    encoder = build_encoder(settings, frames).eval()
    if settings.family == "wav2vec2":
        x = theirs_x = noise(3, 1999)
    else:
        x = theirs_x = noise(3, frames, 128)
    if settings.family == "vit":  # the library wants images: height, width, and channels
        theirs_x = x.transpose(1, 2)[:, None].repeat(1, base.config.num_channels, 1, 1)
    with torch.no_grad():
        return encoder(x), base(theirs_x).last_hidden_state


@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_the_library_computes(case: str, library) -> None:
    name, shape, settings = CASES[case]
    model, folder = library(name, shape)
    ours, theirs = both(model, settings(folder), 128 if name.startswith("AST") else 96)
    assert deviation(ours, theirs) < TOLERANCE


@pytest.mark.parametrize("case", ["AST", "ViT", "wav2vec 2.0"])
def test_tensors_as_the_library_names_them_in_memory_are_known(case: str, library) -> None:
    """transformers 5 renamed the layers; on disk it keeps the old names unless told otherwise."""
    name, shape, settings = CASES[case]
    model, folder = library(name, shape)
    for file in folder.glob("*model.*"):
        file.unlink()
    tensors = {key: t.contiguous() for key, t in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    ours, theirs = both(model, settings(folder), 128 if name.startswith("AST") else 96)
    assert deviation(ours, theirs) < TOLERANCE


def test_dropouts_and_skipped_layers_act_only_if_asked_and_only_in_training(library) -> None:
    rates = {"hidden_dropout": 0.2, "attention_dropout": 0.2, "layerdrop": 0.5}
    _, folder = library("Wav2Vec2Model", WAVES | rates)
    x = noise(3, 1999)

    def is_steady(dropout: str, training: bool) -> bool:
        encoder = build_encoder(wav2vec2(folder, dropout), 100).train(training)
        with torch.no_grad():
            return bool(torch.equal(encoder(x), encoder(x)))

    assert is_steady("none", training=True)
    assert is_steady("checkpoint", training=False)
    assert not is_steady("checkpoint", training=True)


@pytest.mark.parametrize(
    "rate",
    ["feat_proj_dropout", "hidden_dropout", "attention_dropout", "activation_dropout", "layerdrop"],
)
def test_every_rate_of_the_checkpoint_counts(rate: str, library) -> None:
    """One at a time, the others off."""
    rates = {"feat_proj_dropout": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    rates |= {"activation_dropout": 0.0, "layerdrop": 0.0}
    _, folder = library("Wav2Vec2Model", WAVES | rates | {rate: 0.5})
    encoder, x = build_encoder(wav2vec2(folder, "checkpoint"), 100).train(), noise(3, 1999)
    with torch.no_grad():
        outputs = [encoder(x) for _ in range(8)]  # a layer is kept every other time
    assert any(not torch.equal(outputs[0], other) for other in outputs[1:])


def test_the_recorded_backbones_are_read_on_every_stack(golden: Path) -> None:
    """Written as pytorch_model.bin, under the names of 4.28."""
    assert build_encoder(ast(golden / "ast_tiny"), 100)(noise(1, 100, 128)).shape[2] == 32
    assert build_encoder(wav2vec2(golden / "wav2vec2_tiny"), 100)(noise(1, 4000)).shape[2] == 32

"""What a study may say about a backbone, and what a profile adds for it."""

from __future__ import annotations

import pytest
import torch
from small_models import AST, VIT, WAVES, ast, deviation, noise, vit, wav2vec2

from petl import config
from petl.backbones.families import bare_encoder, build_encoder
from petl.config.study import expand
from petl.config.yamlfile import parse_value
from petl.methods.apply import apply_method
from petl.model.build import Model
from petl.model.head import build_head

STUDY = """\
description: a study
profile: {profile}
report: test_last
matrix:
  dataset: speech-commands
  backbone: {backbone}
  method: [full, linear, lora, conformer-pfeiffer]
  fold: all
  seed: 10
"""


def tasks(profile: str, backbone: str) -> dict[str, config.Task]:
    study = parse_value(STUDY.format(profile=profile, backbone=backbone))
    return {task.names.method: task for task in expand(study, "study")}


def test_as_run_wav2vec2_is_what_the_released_code_does() -> None:
    found = tasks("as-run", "wav2vec2")
    assert found["full"].method == config.Full(family="full", layers=3)
    adapter = found["conformer-pfeiffer"].method
    assert isinstance(adapter, config.Adapter) and adapter.layer_norms == "frozen"
    assert isinstance(adapter.block, config.Conformer)
    assert (adapter.block.init, adapter.block.layer_norm) == ("kaiming", "applied")
    dropouts = {method: task.backbone.dropout for method, task in found.items()}
    assert dropouts == {
        "full": "checkpoint",
        "linear": "checkpoint",
        "lora": "checkpoint",
        "conformer-pfeiffer": "none",
    }


def test_as_intended_wav2vec2_trains_whole_and_keeps_frozen_layers_still() -> None:
    found = tasks("as-intended", "wav2vec2")
    assert found["full"].method == config.Full(family="full")
    dropouts = {method: task.backbone.dropout for method, task in found.items()}
    assert dropouts == {"full": "checkpoint", "linear": "none", "lora": "none"} | {
        "conformer-pfeiffer": "none"
    }


@pytest.mark.parametrize("backbone", ["ast", "vit"])
def test_a_backbone_of_patches_gets_their_settings_alone(backbone: str) -> None:
    for task in tasks("as-run", backbone).values():
        assert isinstance(task.backbone, config.Patches)
        assert (task.backbone.position_embeddings, task.backbone.pooling) == ("zeros", "all")
        assert "layers" not in task.method.model_dump(exclude_defaults=True)


def test_the_head_alone_trains_where_layers_end_in_their_own_norm(library) -> None:
    _, folder = library("Wav2Vec2Model", WAVES)
    encoder = build_encoder(wav2vec2(folder), 100)
    apply_method(encoder, config.Linear(family="linear"))
    assert not any(p.requires_grad for p in encoder.parameters())


def test_the_last_layers_train_and_nothing_below(library) -> None:
    _, folder = library("Wav2Vec2Model", WAVES)
    encoder = build_encoder(wav2vec2(folder), 100)
    apply_method(encoder, config.Full(family="full", layers=2))
    trained = {name.split(".")[1] for name, p in encoder.named_parameters() if p.requires_grad}
    assert trained == {"1", "2"}
    assert all(p.requires_grad for layer in encoder.layers[1:] for p in layer.parameters())


def test_prompts_stand_behind_a_vits_cls_and_push_no_patch_out(library) -> None:
    _, folder = library("ViTModel", VIT)
    encoder = build_encoder(vit(folder), 96).eval()
    before = encoder.tokens(noise(2, 96, 128))
    apply_method(encoder, config.Prompt(family="prompt", depth="deep", length=5))
    after = encoder.tokens(noise(2, 96, 128))
    assert torch.equal(after[:, 6:], before[:, 1:])
    assert torch.equal(after[:, :1], before[:, :1])


@pytest.mark.parametrize("pooling, first, last", [("all", 0, 49), ("cls", 0, 1), ("speech", 1, 49)])
def test_a_vits_patches_begin_behind_one_token(
    pooling: str, first: int, last: int, library
) -> None:
    _, folder = library("ViTModel", VIT)
    encoder = build_encoder(vit(folder), 96)
    model = Model(encoder, build_head(32, 5), pooling)
    h = noise(2, 49, 32)
    assert torch.allclose(model.pool(h), h[:, first:last].mean(dim=1))


def test_cls_and_dist_pool_as_the_librarys_classifier_does(library) -> None:
    """Its head is a LayerNorm and a Linear; ours says the same with the Linear alone."""
    theirs, folder = library("ASTForAudioClassification", AST | {"num_labels": 5})
    encoder = build_encoder(ast(folder), 128)
    model = Model(encoder, build_head(32, 5), "cls+dist").eval()
    norm, dense = theirs.classifier.layernorm, theirs.classifier.dense
    x = noise(3, 128, 128)
    with torch.no_grad():
        model.head.weight.copy_(dense.weight * norm.weight)
        model.head.bias.copy_(dense.bias + dense.weight @ norm.bias)
        assert deviation(model(x), theirs(x).logits) < 1e-5


@pytest.mark.parametrize("bins", [64, 128, 160])
def test_an_encoder_is_counted_as_it_is_built_for_the_bins_of_a_front_end(library, bins) -> None:
    """A new one draws the position embeddings of its own grid; a checkpoint's are fitted to it."""
    front_end = config.Mel(
        kind="mel", rate=16_000, n_fft=1024, hop=320, bins=bins, fmin=50.0, fmax=8e3, seconds=2.0
    )
    shape = config.Shape(hidden=8, layers=1, heads=1, mlp=8)
    kept = ast(library("ASTModel", AST)[1])
    fresh = kept.model_copy(update={"source": "new", "shape": shape})
    for settings in (fresh, kept):
        built = build_encoder(settings, 101, front_end=front_end)
        bare = bare_encoder(settings, 101, front_end)
        sizes = [{n: t.shape for n, t in one.state_dict().items()} for one in (built, bare)]
        assert sizes[0] == sizes[1]
        assert built(noise(1, 101, bins)).shape[1] == built.tokens.position.shape[1]
        assert built.tokens.position.any()

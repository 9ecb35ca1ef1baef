"""The small backbone: a recipe that gives the same file again, and one that others can read."""

import pytest
import torch

from petl import config
from petl.backbones.families import build_encoder
from petl.errors import UserError
from petl.train.pretrain import SMALL, pretrain_checkpoint

TINY = """
seed: 3
threads: 1
shape: {hidden: 16, layers: 2, heads: 2, mlp: 32, patch: 16, frequency_stride: 16, time_stride: 16}
frames: 100
statistics: {mean: -4.268, std: 4.569}
clips: 80
epochs: 2
batch_size: 16
lr: 1e-3
warm_up: 2
weight_decay: 0.05
"""


@pytest.fixture
def settings(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def small(source) -> config.AST:
    return config.AST(
        family="ast", source=str(source), position_embeddings="interpolate", pooling="all"
    )


def test_the_same_settings_give_the_same_file(settings, tmp_path):
    first, again = (
        pretrain_checkpoint(settings, tmp_path / name, lambda line: None).read_bytes()
        for name in ("first", "again")
    )
    assert first == again


def test_an_existing_checkpoint_is_never_overwritten(settings, tmp_path):
    pretrain_checkpoint(settings, tmp_path / "out", lambda line: None)
    with pytest.raises(UserError, match="exists already"):
        pretrain_checkpoint(settings, tmp_path / "out", lambda line: None)


def test_the_library_reads_it_and_computes_the_same(settings, tmp_path):
    from transformers import ASTModel

    out = pretrain_checkpoint(settings, tmp_path / "out", lambda line: None).parent
    x = torch.randn(2, 100, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = ASTModel.from_pretrained(out).eval()(x).last_hidden_state
        ours = build_encoder(small(out), 100).eval()(x)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_builtin_checkpoint_is_small_and_loads():
    assert (SMALL / "model.safetensors").stat().st_size < 3e6
    encoder = build_encoder(small("builtin:small"), 100)
    assert all(p.isfinite().all() for p in encoder.parameters())

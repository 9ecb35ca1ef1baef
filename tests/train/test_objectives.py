"""Pre-training without labels: what the model sees, what counts, and what a finished run gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from golden_cases import GOLDEN
from test_resume import EACH_STEP, ends, stopped_again_and_again

from petl import config
from petl.backbones import ast
from petl.backbones.families import build_encoder
from petl.backbones.naming import fill
from petl.config.study import study_of
from petl.errors import UserError
from petl.runs.directory import RunDir
from petl.train.objectives.base import sounding
from petl.train.objectives.build import self_supervised
from petl.train.objectives.export import export_encoder
from petl.train.objectives.reconstruct import Decoder
from petl.train.optim import after_warm_up
from petl.train.run import run_task

STATISTICS = config.Statistics(mean=-4.0, std=4.0)
MASKED, RECONSTRUCT = {"kind": "masked-patches"}, {"kind": "reconstruct", "time": 30}


def pretraining(objective=MASKED, corpus="tiny", set=None, **changed):
    """A study's one task on the sounds of the tiny corpus, with an encoder of two layers."""
    shape = {"hidden": 16, "layers": 2, "heads": 2, "mlp": 32}
    layout = {"layout": "esc50", "classes": 10, "folds": 5, "split": "paper"}
    study = {
        "objective": objective,
        "matrix": {"dataset": "own", "backbone": "new", "method": "full", "fold": 0, "seed": 10},
        "backbones": {"new": {"backbone": {"family": "ast", "source": "new", "shape": shape}}},
        "datasets": {"own": {"dataset": {"corpus": corpus, "frames": 100, **(changed or layout)}}},
        "set": {"train": {"epochs": 2, "batch_size": 8, "lr": 1e-3}, **(set or {})},
    }
    return study_of(study, "pre").tasks[0]


def raw(clips=3, frames=100, sound=90):
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(clips, frames, 128, generator=draws) - 4
    x[:, sound:] = 0
    return x


@pytest.fixture
def model():
    torch.manual_seed(0)
    return self_supervised(pretraining(), STATISTICS)


# --- masked patches ------------------------------------------------------------------------------


def test_the_encoder_computes_cls_dist_and_the_visible_patches_alone(model):
    lengths = []
    model.backbone.layers[0].register_forward_hook(lambda m, given, h: lengths.append(h.shape[1]))
    model(raw())
    assert lengths == [2 + 12]  # of 8 x 6 patches


def test_visible_patches_get_the_embedding_that_a_full_forward_gives_them(model):
    clean = raw()
    tokens = model.backbone.tokens(clean)
    order = model.order(3, 48)[:, :12]
    model.backbone.layers, model.backbone.norm = torch.nn.ModuleList(), torch.nn.Identity()
    seen = model.encode(model.patches(clean), order)
    assert torch.allclose(seen[:, :2], tokens[:, :2], atol=1e-5)
    wanted = tokens[:, 2:].gather(1, order[:, :, None].expand(-1, -1, 16))
    assert torch.allclose(seen[:, 2:], wanted, atol=1e-4)


def test_the_error_does_not_depend_on_what_the_decoder_says_of_visible_patches_or_padding(model):
    """Only hidden patches that hold sound count: the last column of patches is padding here."""
    model.eval()
    clean, order = raw(sound=70), model.order(3, 48)
    said = torch.zeros(3, 48, 256)
    model.head.forward = lambda seen, order: said
    before = model(clean)
    position = torch.arange(48).expand(3, 48).gather(1, order)
    holds = position % 6 < 5  # patches are numbered row by row, and a row is a band of mel bins
    visible = torch.arange(48).expand(3, 48) < 12
    said[visible | ~holds] = 7.0
    assert torch.equal(model(clean), before)
    said[:] = 7.0
    assert not torch.equal(model(clean), before)
    assert torch.allclose(before, torch.ones(3), atol=1e-3)  # of standardised patches


def test_training_draws_other_masks_each_time_and_the_held_out_loss_the_same(model):
    drawn = [model.train().order(2, 48) for _ in range(2)]
    fixed = [model.eval().order(2, 48) for _ in range(2)]
    assert not torch.equal(*drawn) and torch.equal(*fixed)


def test_an_encoder_that_cannot_be_written_as_the_librarys_ast_is_refused(monkeypatch):
    c = ast.library_config(
        hidden=16, layers=1, heads=2, mlp=32, patch=16, frequency_stride=16, time_stride=16,
        frames=100,
    )  # fmt: skip
    cls_alone = ast.make(c, None, special=("cls",))
    monkeypatch.setattr("petl.train.objectives.build.build_encoder", lambda *_: cls_alone)
    with pytest.raises(UserError, match="CLS and DIST"):
        self_supervised(pretraining(), STATISTICS)


# --- reconstruction ------------------------------------------------------------------------------


def test_reconstruction_fills_a_stretch_and_a_band_with_0_and_validates_without():
    model = self_supervised(pretraining(RECONSTRUCT), STATISTICS)
    given = []
    model.backbone.register_forward_hook(lambda m, x, h: given.append(x[0]))
    clean = torch.ones(40, 100, 128)
    model.train().errors(clean, sounding(clean))
    model.eval().errors(clean, sounding(clean))
    frames, bins = (given[0] == 0).all(dim=2).sum(dim=1), (given[0] == 0).all(dim=1).sum(dim=1)
    assert 15 < frames.max() < 30 and 15 < bins.max() < 30
    assert torch.equal(given[1], clean)


@pytest.mark.parametrize(("target", "same"), [("all", False), ("sound", True)])
def test_padding_counts_only_as_released(target, same):
    model = self_supervised(pretraining(RECONSTRUCT | {"target": target}), STATISTICS).eval()
    model.head.forward = lambda h, frames: said
    said = torch.zeros(3, 100, 128)
    before = model(raw())
    said[:, 90:] = 5.0
    assert torch.equal(model(raw()), before) == same


def test_reconstruction_equals_the_released_recipe(golden_ssl):
    from petl.backbones.tensor_file import read_tensors

    arrays = {name: torch.from_numpy(a) for name, a in np.load(golden_ssl / "arrays.npz").items()}
    begin = "reconstruct/"
    wanted = {k[len(begin) :]: a for k, a in arrays.items() if k.startswith(begin)}
    given = read_tensors(golden_ssl / "model.safetensors")
    parts = {k: t for k, t in given.items() if k.startswith(("projector.", "decoder."))}
    assert compare(golden_ssl, parts, arrays["x"], arrays["clean"], wanted) == 200208


def test_reconstruction_equals_what_the_library_computes_step_by_step():
    folder, state = GOLDEN / "ssl", Decoder(16).state_dict()
    clean = torch.from_numpy(np.load(folder / "arrays.npz")["x"]) / 32
    x = clean.clone()
    x[:, :, 5:17], x[..., 30:50] = 0, 0
    for i, (name, tensor) in enumerate(state.items()):  # as by_formula in record.py
        numbers = torch.arange(tensor.numel(), dtype=torch.float64)
        state[name] = (0.05 * torch.cos((7 + i) * numbers)).float().reshape(tensor.shape)
    wanted = {k: torch.from_numpy(a) for k, a in np.load(folder / "reconstruct.npz").items()}
    compare(folder, state, x, clean, wanted, every=8)


def compare(folder, head, x, clean, wanted, every=1):
    """Outputs, losses and gradients of a few steps; `every`: of the outputs' bins. Return the
    number of parameters."""
    settings = config.AST(
        family="ast", source=str(folder), position_embeddings="interpolate", pooling="all"
    )
    frames = x.shape[2]
    model = self_supervised(pretraining(RECONSTRUCT | {"target": "all"}), STATISTICS)
    model.backbone = build_encoder(settings, frames).requires_grad_(True)
    model.head = Decoder(model.backbone.shape.hidden)
    fill(model.head.state_dict(), head, "golden")
    model.eval()

    def near(ours, name, tolerance):
        theirs = wanted[name].double()
        ours = torch.as_tensor(ours).detach().double()
        assert (ours - theirs).abs().div(theirs.abs().clamp(min=1)).max() < tolerance

    def outputs():
        return model.head(model.backbone(x[0]), frames)[..., ::every]

    near(outputs(), "before", 1e-5)
    parameters = list(model.parameters())
    adamw = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0)
    steps, losses, norms = len(x) // 2, [], []
    curve = after_warm_up(adamw, steps, 2, "cosine")
    for step in range(steps):
        adamw.zero_grad()
        batch = [2 * step, 2 * step + 1]
        mean = sum(model.of_frames(x[i], clean[i]).mean() for i in batch) / 2
        mean.backward()
        losses.append(mean.item())
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, 1.0)))
        adamw.step()
        curve.step()
    near(losses, "losses", 1e-5)
    near(norms, "grad_norms", 1e-5)
    near(outputs(), "after", 1e-4)
    return sum(p.numel() for p in parameters)


# --- as a run ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("objective", [MASKED, RECONSTRUCT], ids=["masked-patches", "reconstruct"])
def test_a_pretraining_stopped_every_other_step_equals_an_uninterrupted_one(
    places, own_runs, tmp_path, objective
):
    task = pretraining(objective)
    undisturbed = type(places)(tmp_path / "whole", places.data, places.cache)
    run_task(task, undisturbed, EACH_STEP)
    assert stopped_again_and_again(task, own_runs, steps=2) > 3
    assert ends(RunDir.of(task, own_runs.runs)) == ends(RunDir.of(task, undisturbed.runs))


def test_a_finished_run_is_a_checkpoint_for_petl_and_for_the_library(own_runs, tmp_path):
    from transformers import ASTModel

    task = pretraining()
    result = run_task(task, own_runs, EACH_STEP)
    run, out = RunDir.of(task, own_runs.runs), tmp_path / "out"
    for _ in range(2):  # twice does nothing twice
        export_encoder(run, task, out)
    settings = config.AST(
        family="ast", source=str(out), position_embeddings="interpolate", pooling="all"
    )
    x = raw(2)
    with torch.no_grad():
        ours = build_encoder(settings, 100).eval()(x)
        theirs = ASTModel.from_pretrained(out).eval()(x).last_hidden_state
    assert torch.allclose(ours, theirs, atol=1e-5)
    about = json.loads((out / "pretraining.json").read_text())
    assert about["held_out_loss"] == result["metrics"]["val_best"]["held_out_loss"]
    best = min(run.metrics(), key=lambda row: row["val_held_out_loss"])
    assert result["best_epoch"] == best["epoch"]
    with pytest.raises(UserError, match="exists already"):
        export_encoder(run, pretraining(RECONSTRUCT), out)

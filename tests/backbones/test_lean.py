"""What a step keeps and computes: no more than its gradients need, and the same numbers for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.full_size import FULL, QUICK, clips, ours
from petl.backbones.encoder import Dropout, Encoder, Geometry
from petl.backbones.lean import checkpoint, project
from petl.model.build import Model
from petl.train.failures.memory import kept

TOKENS = 590


@pytest.fixture(scope="module")
def full_size() -> tuple[Model, Tensor, Tensor]:
    return ours(FULL), *clips(FULL, 1)


@pytest.mark.slow
def test_a_clip_keeps_at_most_200_mb_and_no_matrix_of_scores(full_size) -> None:
    model, x, _ = full_size
    sizes = kept(model, x)
    assert 100e6 < sum(sizes) <= 200e6
    floats = max(sizes) / 4
    assert floats <= TOKENS * 4 * FULL.hidden < FULL.heads * TOKENS**2  # inside the FFN; scores


@pytest.mark.slow
def test_a_clip_keeps_at_most_45_mb_with_layer_checkpointing(full_size) -> None:
    model, x, _ = full_size
    model.backbone.layer_checkpointing = True
    sizes = kept(model, x)
    model.backbone.layer_checkpointing = False
    assert sum(sizes) <= 45e6


def small(layer_checkpointing: bool = False) -> Model:
    return ours(QUICK, layer_checkpointing)


def trained(model: Model) -> dict[str, Tensor]:
    """Gradients and running statistics after one step's backward pass."""
    x, y = clips(QUICK, 3)
    F.cross_entropy(model(x), y).backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return gradients | dict(model.named_buffers())


def test_layer_checkpointing_changes_no_number_and_no_running_statistic() -> None:
    without, using = trained(small()), trained(small(layer_checkpointing=True))
    assert without.keys() == using.keys()
    assert sum(name.endswith("num_batches_tracked") for name in using) == QUICK.layers
    for name, expected in without.items():
        torch.testing.assert_close(using[name], expected, rtol=1e-6, atol=1e-8, msg=name)
    assert all(t == 1 for name, t in using.items() if name.endswith("num_batches_tracked"))


def encoder(layer_checkpointing: bool) -> Encoder:
    torch.manual_seed(0)
    dropout = Dropout(hidden=0.2, attention=0.3, activation=0.1)
    shape = Geometry(hidden=16, layers=2, heads=2, mlp=32, eps=1e-5, norm="post", dropout=dropout)
    model = Encoder(shape, nn.Identity()).train()
    model.layer_checkpointing = layer_checkpointing
    return model


def test_layer_checkpointing_repeats_every_dropout() -> None:
    found = []
    for layer_checkpointing in (False, True):
        model, x = encoder(layer_checkpointing), torch.randn(2, 7, 16)
        torch.manual_seed(1)
        out = model(x.fill_(0.5))
        out.pow(3).sum().backward()
        after = torch.rand(3)  # the draws that follow are the same too
        found.append([out.detach(), after, *(p.grad for p in model.parameters())])
    for without, using in zip(*found, strict=True):
        torch.testing.assert_close(using, without, rtol=1e-6, atol=1e-7)


def test_without_gradients_layers_run_plainly() -> None:
    layer = nn.Linear(4, 4)
    with torch.no_grad():
        out = checkpoint(layer, torch.zeros(1, 4))
    assert out.grad_fn is None


def test_frozen_weights_have_no_gradient() -> None:
    model = small()
    names = trained(model).keys() - dict(model.named_buffers()).keys()
    assert names < {name for name, p in model.named_parameters() if p.requires_grad}
    idle = {name for name, p in model.named_parameters() if p.requires_grad} - names
    assert all(".block.norm." in name for name in idle)  # counted and never used, as-run


def test_no_gradient_flows_below_the_first_trainable_place() -> None:
    """In the first layer that is the norm which its adapted branch reads."""
    model = small()
    first, second = model.backbone.bare_layers()
    reached = {}
    for name, module in {
        "first attention": first.attention,
        "first ffn": first.ffn,
        "second attention": second.attention,
    }.items():
        module.register_forward_hook(
            lambda _, __, out, name=name: reached.update({name: out.requires_grad})
        )
    model(clips(QUICK, 2)[0])
    assert reached == {"first attention": False, "first ffn": True, "second attention": True}


@pytest.mark.parametrize("bias", [True, False])
def test_a_projection_of_a_norm_has_the_gradients_of_a_linear_map(bias: bool) -> None:
    torch.manual_seed(0)
    norm, linear = nn.LayerNorm(24), nn.Linear(24, 5, bias=bias)
    for p in norm.parameters():
        nn.init.normal_(p, mean=0.5)
    x, found = torch.randn(3, 11, 24) * 3 + 1, []
    for function in (F.linear, project):
        leaf = x.clone().requires_grad_()
        out = function(norm(leaf), linear.weight, linear.bias)
        wanted = [leaf, *norm.parameters(), *linear.parameters()]
        found.append([out, *torch.autograd.grad(out.sin().sum(), wanted)])
    for expected, own in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)


def test_a_projection_of_a_norm_does_not_keep_the_norms_output() -> None:
    norm, linear = nn.LayerNorm(24), nn.Linear(24, 5)
    x, seen = torch.randn(3, 11, 24), set()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: seen.add(t.data_ptr()) or t, lambda t: t
    ):
        h = norm(x)
        project(h, linear.weight, linear.bias)
    assert x.data_ptr() in seen
    assert h.data_ptr() not in seen

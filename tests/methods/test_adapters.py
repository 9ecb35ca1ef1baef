"""Adapters: blocks, places, compositions, and the released code's ways with each of them."""

from __future__ import annotations

import pytest
import torch
from tiny_encoders import (
    adapter,
    bottleneck,
    conformer,
    convpass,
    encoder_of,
    make_model,
    outputs,
    shake,
)
from torch import Tensor, nn

from petl.backbones.encoder import unwrap
from petl.errors import UserError
from petl.methods import blocks


@pytest.fixture
def model(as_run):
    def make(block: dict, **settings):
        made = make_model(as_run["linear"], adapter(block, **settings))
        shake(made)
        return made.eval()

    return make


def parts(model) -> tuple[nn.Module, nn.Module, nn.Module]:
    """The adapted place of the first layer: the whole, the bare branch, the block."""
    place = next(encoder_of(model).bare_layers()).ffn
    return place, unwrap(place), place.block


@pytest.fixture
def h() -> Tensor:
    return torch.randn(2, 110, 32, generator=torch.Generator().manual_seed(3))


COMPOSITIONS = {
    ("parallel", False): lambda f, a, h: f(h) + a(h),
    ("parallel", True): lambda f, a, h: f(h) + a(h) + h,
    ("sequential", False): lambda f, a, h: a(f(h)),
    ("sequential", True): lambda f, a, h: a(f(h)) + f(h),
    ("before", False): lambda f, a, h: f(a(h)),
    ("before", True): lambda f, a, h: f(a(h)) + a(h),
}


@pytest.mark.parametrize(("composition", "residual"), COMPOSITIONS)
def test_a_composition_is_its_formula(model, h, composition, residual) -> None:
    place, f, a = parts(model(bottleneck(), composition=composition, residual=residual))
    with torch.no_grad():
        expected = COMPOSITIONS[composition, residual](f, a, h)
        torch.testing.assert_close(place(h), expected)


@pytest.mark.parametrize(
    ("placement", "adapted"),
    [
        ("pfeiffer", {"ffn"}),
        ("houlsby", {"attention", "ffn"}),
        (["attention"], {"attention"}),
        (["ffn", "attention"], {"attention", "ffn"}),
    ],
)
def test_a_placement_is_its_branches_and_their_layer_norms_train(model, placement, adapted) -> None:
    for layer in encoder_of(model(bottleneck(), placement=placement)).bare_layers():
        for place in ("attention", "ffn"):
            assert hasattr(getattr(layer, place), "block") == (place in adapted)
            norm = getattr(layer, f"norm_{place}")
            assert norm.weight.requires_grad == norm.bias.requires_grad == (place in adapted)


def test_an_ignored_layer_norm_changes_nothing_and_an_applied_one_does(model, x) -> None:
    for layer_norm, reads in (("ignored", False), ("applied", True)):
        made = model(conformer(layer_norm=layer_norm))
        before = outputs(made, x)
        with torch.no_grad():
            for layer in encoder_of(made).bare_layers():
                layer.ffn.block.norm.bias += 1
        assert torch.equal(outputs(made, x), before) != reads


def test_a_discarded_convolution_changes_nothing_and_a_used_one_does(model, x) -> None:
    for convolution, reads in (("discarded", False), ("used", True)):
        made = model(convpass(convolution=convolution))
        before = outputs(made, x)
        with torch.no_grad():
            for layer in encoder_of(made).bare_layers():
                layer.ffn.block.conv.bias += 1
        assert torch.equal(outputs(made, x), before) != reads


def test_convpass_drops_while_training_only(model, x) -> None:
    made = model(convpass(dropout=0.5))
    assert torch.equal(made.eval()(x), made(x))
    assert not torch.equal(made.train()(x), made(x))


def test_as_run_a_convpass_adapter_drops_nothing(as_run, as_intended) -> None:
    """The released adapters leave their encoder in eval mode while training."""
    released, intended = (t["convpass-pfeiffer"].method.block for t in (as_run, as_intended))
    assert (released.dropout, released.convolution) == (0.0, "discarded")
    assert (intended.dropout, intended.convolution) == (0.1, "used")


# --- where the depthwise convolution runs ---------------------------------------------------------


def reach(model, token: int) -> set[int]:
    """The tokens whose conformer output changes with this token."""
    block = parts(model)[2]
    h = torch.zeros(1, 110, 32)
    changed = h.clone()
    changed[0, token] = 1
    with torch.no_grad():
        difference = (block(changed) - block(h)).abs().sum(dim=-1)[0]
    return {i for i, d in enumerate(difference.tolist()) if d > 0}


def test_as_run_the_convolution_crosses_rows_and_reaches_the_special_tokens(model) -> None:
    made = model(conformer(kernel=3))  # 12 rows of 9 patches behind CLS and DIST
    assert reach(made, 2) == {1, 2, 3}
    assert reach(made, 2 + 8) == {2 + 7, 2 + 8, 2 + 9}


def test_an_even_kernel_sees_one_more_on_its_right(model) -> None:
    assert reach(model(conformer(kernel=4)), 50) == {48, 49, 50, 51}


@pytest.mark.parametrize("kernel", [3, 4])
def test_along_rows_it_stays_within_a_row(model, kernel) -> None:
    made = model(conformer(kernel=kernel, convolution="rows"))
    assert reach(made, 0) == {0}
    assert reach(made, 1) == {1}
    right_end, left_end = 2 + 8, 2 + 9
    assert reach(made, right_end) == {right_end} | {right_end - i for i in range(1, kernel - 1)}
    assert reach(made, left_end) == {left_end, left_end + 1}


def test_over_the_grid_it_sees_neighbours_in_time_and_frequency(model) -> None:
    made = model(conformer(kernel=3, convolution="grid"))
    assert reach(made, 1) == {1}
    corner, middle = 2, 2 + 9 + 1
    assert reach(made, corner) == {2, 3, 2 + 9, 2 + 10}
    assert reach(made, middle) == {middle + 9 * i + j for i in (-1, 0, 1) for j in (-1, 0, 1)}


def test_rows_need_patches() -> None:
    from petl import config

    block = config.Conformer.model_validate(conformer(convolution="rows"))
    with pytest.raises(UserError, match="needs patches in rows and columns"):
        blocks.Conformer(32, block, grid=None)


def test_a_width_is_rounded_as_in_the_released_code() -> None:
    assert [blocks.width(768, reduction) for reduction in (64, 96, 100, 10_000)] == [12, 8, 8, 1]

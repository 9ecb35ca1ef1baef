"""Attention without a stored matrix equals the formula, gradients included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from petl.backbones import attention
from petl.backbones.attention import attend

SIZES = {
    "as many keys as queries": (2, 4, 17, 17, 8),
    "more keys than queries": (2, 3, 13, 25, 8),
    "one query": (1, 1, 1, 7, 5),
    "a full-size head": (1, 2, 590, 590, 64),
}


def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


def inputs(size: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Queries, keys, values as views of one projection, and the output's gradient."""
    batch, heads, queries, keys, width = size
    torch.manual_seed(0)
    lengths = (queries, keys, keys, queries)
    return [
        torch.randn(batch, n, 3 * heads * width, dtype=dtype)[..., : heads * width]
        .unflatten(-1, (heads, width))
        .transpose(1, 2)
        for n in lengths
    ]


def gradients(function, q: Tensor, k: Tensor, v: Tensor, grad: Tensor) -> list[Tensor]:
    leaves = [t.detach().requires_grad_() for t in (q, k, v)]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


@pytest.fixture(params=["whole", "in parts"])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in parts":
        monkeypatch.setattr(attention, "SCORES", {"cpu": 1})


@pytest.fixture(params=["fused", "ours"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library has no fused kernel, both are ours."""
    monkeypatch.setattr(attention, "FUSED", attention.FUSED and request.param == "fused")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_it_is_the_formula_and_so_are_its_gradients(size, parts, kernel) -> None:
    given = inputs(size)
    for found, expected in zip(gradients(attend, *given), gradients(plain, *given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(2, 2, 3, 5, 4), (1, 3, 4, 4, 2)])
def test_gradients_agree_with_differences(size, parts, kernel) -> None:
    q, k, v, _ = (t.requires_grad_() for t in inputs(size, torch.float64))
    assert torch.autograd.gradcheck(attend, (q, k, v))


def test_gradients_agree_with_differences_when_probabilities_drop(parts) -> None:
    def dropped(*given: Tensor) -> Tensor:
        torch.manual_seed(3)
        return attend(*given, dropout=0.4)

    q, k, v, _ = (t.requires_grad_() for t in inputs((2, 2, 3, 5, 4), torch.float64))
    assert torch.autograd.gradcheck(dropped, (q, k, v))


def test_the_fused_backward_of_gpus_gives_the_same() -> None:
    if not attention.FUSED:
        pytest.skip("this PyTorch has no fused attention")
    q, k, v, grad = inputs((2, 3, 13, 25, 8))
    found = attention._fused_backward(q, k, v, grad, (True, False, True))
    _, dq, _, dv = gradients(plain, q, k, v, grad)
    assert found[1] is None
    torch.testing.assert_close(found[0], dq, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[2], dv, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wanted", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1)])
def test_only_wanted_gradients_are_computed(wanted: tuple[int, ...]) -> None:
    q, k, v, grad = inputs((2, 4, 17, 17, 8))
    leaves = [t.detach().requires_grad_(bool(w)) for t, w in zip((q, k, v), wanted, strict=True)]
    attend(*leaves).backward(grad)
    _, *expected = gradients(plain, q, k, v, grad)
    for leaf, w, gradient in zip(leaves, wanted, expected, strict=True):
        assert (leaf.grad is not None) == bool(w)
        if w:
            torch.testing.assert_close(leaf.grad, gradient, rtol=1e-5, atol=1e-6)


def test_dropout_keeps_the_mean_and_repeats_with_its_seed() -> None:
    q, k, v, _ = inputs((1, 2, 5, 9, 4))
    torch.manual_seed(0)
    first = attend(q, k, v, dropout=0.5)
    mean = torch.stack([attend(q, k, v, dropout=0.5) for _ in range(4000)]).mean(0)
    torch.manual_seed(0)
    assert torch.equal(first, attend(q, k, v, dropout=0.5))
    torch.testing.assert_close(mean, plain(q, k, v), rtol=0, atol=0.06)


def test_without_dropout_nothing_is_drawn() -> None:
    q, k, v, _ = inputs((1, 2, 5, 9, 4))
    before = torch.get_rng_state()
    attend(q, k, v)
    assert torch.equal(before, torch.get_rng_state())


def test_nothing_but_queries_keys_and_values_is_kept() -> None:
    q, k, v, _ = (t.requires_grad_() for t in inputs((2, 4, 50, 50, 8)))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        attend(q, k, v)
    assert [t.data_ptr() for t in kept] == [t.data_ptr() for t in (q, k, v)]

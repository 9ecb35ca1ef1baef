"""Dense-MoA and Soft-MoA."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_encoders import bottleneck, convpass, encoder_of, make_model, outputs, shake
from torch import Tensor


@pytest.fixture
def model(as_run):
    def make(family: str, **settings):
        slots = {"slots": 2, "normalise": "none"} if family == "soft-moa" else {}
        method = {"family": family, "block": bottleneck(), "experts": 3, "placement": ["ffn"]}
        made = make_model(
            as_run["linear"], method | {"attention_output": "once"} | slots | settings
        )
        shake(made)
        return made.eval()

    return make


@pytest.fixture
def h() -> Tensor:
    return torch.randn(2, 110, 32, generator=torch.Generator().manual_seed(3))


def mixture(model, place: str = "ffn"):
    return getattr(next(encoder_of(model).bare_layers()), place).block


def test_dense_weighs_every_expert_for_every_token(model, h) -> None:
    m = mixture(model("dense-moa"))
    with torch.no_grad():
        weights = m.router(h).softmax(-1)
        expected = torch.stack([e(h) for e in m.experts], -1) @ weights.unsqueeze(-1)
        torch.testing.assert_close(m(h), expected.squeeze(-1))


def soft(m, h: Tensor, tokens: Tensor, slots: Tensor, read: Tensor) -> Tensor:
    """Soft MoE's formulas, expert by expert and slot by slot."""
    logits = torch.einsum("bnd,des->bnes", tokens, slots)
    dispatch = logits.softmax(dim=1)
    combine = logits.flatten(2).softmax(dim=2).reshape(logits.shape)
    inputs = torch.einsum("bnd,bnes->besd", read, dispatch)
    made = torch.stack([e(inputs[:, i]) for i, e in enumerate(m.experts)], dim=1)
    return torch.einsum("besd,bnes->bnd", made, combine)


def test_soft_gives_each_expert_slots_and_each_token_their_mean(model, h) -> None:
    m = mixture(model("soft-moa"))
    with torch.no_grad():
        torch.testing.assert_close(m(h), soft(m, h, h, m.slots, h))


@pytest.mark.parametrize(("normalise", "over"), [("experts", 1), ("features", 0)])
def test_normalised_soft_takes_lengths_over(model, h, normalise, over) -> None:
    """As released, over the experts, who then read the normalised tokens; as in Soft MoE, not."""
    m = mixture(model("soft-moa", normalise=normalise))
    tokens = h / h.norm(dim=-1, keepdim=True)
    slots = m.slots / m.slots.norm(dim=over, keepdim=True) * m.scale
    with torch.no_grad():
        expected = soft(m, h, tokens, slots, tokens if normalise == "experts" else h)
        torch.testing.assert_close(m(h), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["dense-moa", "soft-moa"])
def test_as_run_what_the_attentions_mixture_adds_is_added_again_behind_the_ffn(
    model, family, h
) -> None:
    once, twice = (
        model(family, placement=["attention"], attention_output=value)
        for value in ("once", "twice")
    )
    twice.load_state_dict(
        {k: once.state_dict()[k.replace("ffn.inner.", "ffn.")] for k in twice.state_dict()}
    )
    for a, b in zip(encoder_of(once).bare_layers(), encoder_of(twice).bare_layers(), strict=True):
        with torch.no_grad():
            added = a.attention.block(a.norm_attention(h))
            torch.testing.assert_close(b(h), a(h) + added)


@pytest.mark.parametrize("placement", [["ffn"], "houlsby"])
def test_with_a_mixture_at_the_ffn_nothing_is_added_again(model, placement, x) -> None:
    once, twice = (
        model("dense-moa", placement=placement, attention_output=v) for v in ("once", "twice")
    )
    assert torch.equal(outputs(once, x), outputs(twice, x))


def test_what_is_kept_is_no_parameter_and_is_not_kept_for_long(model, x) -> None:
    made = model("dense-moa", placement=["attention"], attention_output="twice")
    outputs(made, x)
    again = copy.deepcopy(made)
    for layer in encoder_of(made).bare_layers():
        assert layer.attention.kept == []
    assert torch.equal(outputs(made, x), outputs(again, x))
    for layer in encoder_of(again).bare_layers():
        assert layer.attention.kept is layer.ffn.kept


def test_experts_may_be_convpass(model, x) -> None:
    dropping = model("soft-moa", block=convpass(dropout=0.5)).train()
    assert not torch.equal(dropping(x), dropping(x))


def test_as_run_convpass_experts_drop_a_tenth(tmp_path) -> None:
    from tiny_encoders import GOLDEN

    from petl.config.study import load_study

    path = tmp_path / "s.yaml"
    path.write_text(f"""\
description: convpass experts
profile: as-run
report: test_last
matrix: {{dataset: esc50, backbone: tiny, method: m, fold: 0, seed: 1}}
backbones: {{tiny: {{backbone: {{family: ast, source: "{GOLDEN / "ast_tiny"}"}}}}}}
methods: {{m: {{like: soft-moa, method: {{block: {{kind: convpass, reduction: 8}}}}}}}}
""")
    block = load_study(path).tasks[0].method.block
    assert (block.dropout, block.convolution, block.init) == (0.1, "discarded", "normal")

"""Methods on the backbone's weights: LoRA, DoRA, SSF, (IA)3, and what merging makes of them."""

from __future__ import annotations

import pytest
import torch
from tiny_encoders import encoder_of, make_model, outputs, shake

from petl import config
from petl.backbones.encoder import Wrapper
from petl.methods.apply import merge
from petl.methods.lora import Update


def low_rank(family: str = "lora", **settings) -> dict:
    method = {"family": family, "reduction": 4, "targets": ["q", "v"], "scale": 2.0}
    return method | {"init": "normal"} | settings


EVERYWHERE = {"targets": ["q", "k", "v", "o"]}
MERGEABLE = {
    "lora": low_rank(**EVERYWHERE),
    "lora on o": low_rank(targets=["o"]),
    "lora by rule": low_rank(scale="alpha/rank", alpha=4.0),
    "dora": low_rank("dora", **EVERYWHERE),
    "dora in one layer": low_rank("dora", layers=[1]),
    "ssf": {"family": "ssf"},
    "ia3": {"family": "ia3"},
    "all at once": {
        "family": "combine",
        "methods": [{"family": "ssf"}, {"family": "ia3"}, low_rank("dora", **EVERYWHERE)],
    },
    "lora twice": {
        "family": "combine",
        "methods": [low_rank(), low_rank(reduction=8, **EVERYWHERE)],
    },
}


@pytest.mark.parametrize("name", MERGEABLE)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_merged_weights_give_the_same_outputs(as_run, x, name, dtype, tolerance) -> None:
    model = make_model(as_run["linear"], MERGEABLE[name]).to(dtype)
    shake(model)
    before = outputs(model, x.to(dtype))
    merge(model)
    after = outputs(model, x.to(dtype))
    assert float((before - after).abs().max()) <= tolerance * max(1.0, float(before.abs().max()))


@pytest.mark.parametrize("name", MERGEABLE)
def test_merging_leaves_the_bare_backbone(as_run, name) -> None:
    model = make_model(as_run["linear"], MERGEABLE[name])
    merge(model)
    assert not any(isinstance(module, Wrapper) for module in model.modules())
    bare = make_model(as_run["linear"], {"family": "linear"})
    assert model.state_dict().keys() == bare.state_dict().keys()


def test_what_cannot_merge_stays_and_the_rest_merges(as_run, x) -> None:
    adapter = {"family": "adapter", "placement": "houlsby", "composition": "parallel"}
    adapter |= {
        "residual": False,
        "block": {"kind": "bottleneck", "reduction": 4, "init": "normal"},
    }
    parts = [{"family": "prefix", "length": 4}, adapter, low_rank(**EVERYWHERE), {"family": "ssf"}]
    model = make_model(as_run["linear"], {"family": "combine", "methods": parts}).double()
    shake(model)
    before = outputs(model, x.double())
    merge(model)
    torch.testing.assert_close(outputs(model, x.double()), before, rtol=1e-10, atol=1e-10)
    kinds = {type(m).__name__ for m in model.modules() if isinstance(m, Wrapper)}
    assert kinds == {"InsertKeysValues", "Parallel"}


# --- LoRA -----------------------------------------------------------------------------------------


def test_a_scale_is_a_number_or_a_rule(as_run, as_intended) -> None:
    """As-run alpha is divided by the reduction, elsewhere by the rank; the paper prints 8."""

    def scale(**settings) -> float:
        method = config.LoRA.model_validate(low_rank(reduction=128) | settings)
        return Update(768, method).scale

    assert scale(scale=0.125) == scale(scale="alpha/reduction", alpha=16.0) == 0.125
    assert scale(scale="alpha/rank", alpha=16.0) == pytest.approx(16 / 6)
    assert as_run["lora"].method.scale == 0.125
    assert as_intended["lora"].method.scale == 8.0


@pytest.mark.parametrize("targets", [["q"], ["k"], ["v"], ["o"], ["q", "v"], ["q", "k", "v", "o"]])
def test_lora_is_an_update_of_the_targets_weights_and_of_no_others(as_run, targets) -> None:
    model = make_model(as_run["linear"], low_rank(targets=targets))
    bare = make_model(as_run["linear"], {"family": "linear"})
    merge(model)
    changed = set()
    for ours, theirs in zip(encoder_of(model).bare_layers(), bare.backbone.layers, strict=True):
        pairs = zip(
            "qkvo",
            [*ours.attention.qkv.linear.weight.chunk(3), ours.attention.out.weight],
            [*theirs.attention.qkv.linear.weight.chunk(3), theirs.attention.out.weight],
            strict=True,
        )
        changed |= {name for name, a, b in pairs if not torch.equal(a, b)}
    assert changed == set(targets)


@pytest.mark.parametrize(("init", "silent"), [("normal", False), ("zero-up", True)])
def test_lora_starts_as_released_or_silently(as_run, x, init, silent) -> None:
    model = make_model(as_run["linear"], low_rank(init=init))
    bare = make_model(as_run["linear"], {"family": "linear"})
    model.head.load_state_dict(bare.head.state_dict())
    assert torch.allclose(outputs(model, x), outputs(bare, x), atol=1e-7) == silent


# --- DoRA -----------------------------------------------------------------------------------------


def test_doras_rows_are_as_long_as_it_learned(as_run) -> None:
    model = make_model(as_run["linear"], low_rank("dora")).double()
    shake(model)
    lengths = [
        layer.attention.qkv.turned["q"].length.detach().clone()
        for layer in encoder_of(model).bare_layers()
    ]
    merge(model)
    for layer, length in zip(encoder_of(model).bare_layers(), lengths, strict=True):
        q = layer.attention.qkv.linear.weight.chunk(3)[0]
        torch.testing.assert_close(q.norm(dim=1), length.abs())


def test_dora_starts_from_the_backbone_whatever_its_bias(as_run, x) -> None:
    model = make_model(as_run["linear"], low_rank("dora", init="zero-up", **EVERYWHERE)).double()
    bare = make_model(as_run["linear"], {"family": "linear"}).double()
    model.head.load_state_dict(bare.head.state_dict())
    before, after = outputs(bare, x.double()), outputs(model, x.double())
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)


# --- SSF and (IA)3 --------------------------------------------------------------------------------


def test_ssf_scales_and_shifts_six_places_of_a_layer(as_run) -> None:
    model = make_model(as_run["linear"], {"family": "ssf"})
    hidden, mlp = 32, 64
    places = [hidden, hidden, 3 * hidden, hidden, mlp, hidden]  # norms, qkv, out, up, down
    new = sum(p.numel() for n, p in model.named_parameters() if n.endswith((".scale", ".shift")))
    assert new == 2 * 2 * sum(places)


def test_ia3_scales_keys_values_and_the_inside(as_run) -> None:
    model = make_model(as_run["linear"], {"family": "ia3"})
    names = ("keys", "values", "inside")
    sizes = [p.numel() for n, p in model.named_parameters() if n.rpartition(".")[2] in names]
    assert sum(sizes) == 2 * (32 + 32 + 64)

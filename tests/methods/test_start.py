"""How new modules start: as the released code's did, as intended, and never uninitialised."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from tiny_encoders import PRESETS, adapter, bottleneck, conformer, convpass, encoder_of, make_model
from torch import Tensor, nn

from petl import config
from petl.methods import blocks, init, moa
from petl.methods.lora import Update

HIDDEN = 768


def std(*tensors: Tensor) -> float:
    return float(torch.cat([t.detach().flatten() for t in tensors]).std())


def made(kind: type[nn.Module], settings: type[config.Part], values: dict) -> nn.Module:
    torch.manual_seed(0)
    more = (None,) if kind is blocks.Conformer else ()
    return kind(HIDDEN, settings.model_validate(values), *more)


def test_as_run_a_linear_map_starts_with_a_standard_deviation_of_002() -> None:
    """Also those that the released code sets to zero itself: its library does them over."""
    bottle = made(blocks.Bottleneck, config.Bottleneck, bottleneck())
    conv = made(blocks.Convpass, config.Convpass, convpass())
    values = {"family": "lora", "reduction": 4, "targets": ["q"], "scale": 1.0, "init": "normal"}
    update = made(Update, config.LoRA, values)
    for module in (bottle, conv, update):
        for linear in (module.down, module.up):
            assert std(linear.weight) == pytest.approx(0.02, rel=0.02)
            assert abs(float(linear.weight.detach().mean())) < 2e-4
            assert linear.bias is None or not linear.bias.any()


def test_as_run_a_conformers_convolutions_start_as_pytorch_starts_them() -> None:
    """Uniform in 1 / sqrt(inputs), weight and bias."""
    block = made(blocks.Conformer, config.Conformer, conformer())
    for conv in (block.gated, block.depthwise, block.up):
        bound = 1 / math.sqrt(conv.weight[0].numel())
        for tensor in (conv.weight, conv.bias):
            assert std(tensor) == pytest.approx(bound / math.sqrt(3), rel=0.1)
            assert 0.8 * bound < float(tensor.abs().max()) <= bound


def test_as_run_a_convpass_convolution_starts_as_its_authors_wrote() -> None:
    """The library leaves one-dimensional convolutions alone: Xavier uniform and no bias."""
    conv = made(blocks.Convpass, config.Convpass, convpass()).conv
    inputs = outputs = conv.weight[0].numel()
    assert std(conv.weight) == pytest.approx(math.sqrt(2 / (inputs + outputs)), rel=0.02)
    assert not conv.bias.any()


def test_slots_start_xavier_normal_and_a_router_like_any_linear_map(build) -> None:
    soft = next(encoder_of(build("soft-moa")).bare_layers()).attention.block
    hidden, experts, slots = soft.slots.shape
    expected = math.sqrt(2 / (hidden * slots + experts * slots))
    assert std(soft.slots) == pytest.approx(expected, rel=0.15)
    dense = next(encoder_of(build("dense-moa")).bare_layers()).attention.block
    assert isinstance(dense, moa.Dense)
    assert std(dense.router.weight) == pytest.approx(0.02, rel=0.15)


def test_prompts_and_prefixes_start_uniform_in_the_range_of_visual_prompt_tuning() -> None:
    tokens = init.tokens(50, HIDDEN)
    bound = math.sqrt(6 / (3 * 16 * 16 + HIDDEN))
    assert std(tokens) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert float(tokens.abs().max()) <= bound


ADDING = ["bottleneck-pfeiffer", "bottleneck-houlsby", "conformer-houlsby", "convpass-pfeiffer"]
ADDING += ["dense-moa", "soft-moa", "lora", "dora", "ia3"]


@pytest.mark.parametrize("name", ADDING)
def test_as_intended_training_starts_from_the_backbone(as_intended, name, x) -> None:
    """What is added puts out zeros at first, but lets gradients through."""
    task = as_intended[name]
    bare = make_model(task, {"family": "full"})
    model = make_model(task, task.method.model_dump(mode="json"))
    model.head.load_state_dict(bare.head.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), bare.eval()(x), rtol=1e-5, atol=1e-6)
    model(x).square().sum().backward()
    new = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    own = {n for n, p in bare.named_parameters()}
    assert {n.replace(".inner", "") for n in new} - own


# --- nothing is left uninitialised ----------------------------------------------------------------


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory holds NaN, and layers leave it so, as newer libraries make them do."""

    def poisoned(make):
        def fill(*args, **kwargs):
            tensor = make(*args, **kwargs)
            return tensor.fill_(math.nan) if tensor.is_floating_point() else tensor

        return fill

    for owner, name in ((torch, "empty"), (torch, "empty_like"), (Tensor, "new_empty")):
        monkeypatch.setattr(owner, name, poisoned(getattr(owner, name)))
    for layer in (nn.Linear, nn.Conv1d, nn.Conv2d):
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)


def variants() -> Iterator[tuple[str, dict]]:
    yield "rows", adapter(conformer(convolution="rows"))
    yield "grid", adapter(conformer(convolution="grid"), gate="input")
    yield "applied", adapter(conformer(layer_norm="applied", init="zero-up"), gate="scalar")
    yield "kaiming", adapter(conformer(init="kaiming"))
    yield "convpass used", adapter(convpass(convolution="used", init="zero-up"))
    soft = {"family": "soft-moa", "block": convpass(), "experts": 3, "placement": "houlsby"}
    soft |= {"attention_output": "twice", "slots": 2, "gate": "input"}
    yield "normalised", soft | {"normalise": "features"}
    everywhere = {"reduction": 4, "targets": ["q", "k", "v", "o"], "scale": 1.0, "init": "zero-up"}
    yield "lora everywhere", {"family": "lora"} | everywhere
    yield "dora everywhere", {"family": "dora"} | everywhere
    prompts = {"family": "prompt", "depth": "deep", "length": 3, "layers": [1]}
    yield "late prompts", prompts


def all_finite(model: nn.Module) -> bool:
    return all(bool(t.isfinite().all()) for t in model.state_dict().values())


def test_the_poison_works(poison) -> None:
    for layer in (nn.Linear(2, 3), nn.Conv1d(2, 3, 1), nn.Conv2d(2, 3, 1)):
        assert layer.weight.isnan().all() and layer.bias.isnan().all()


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_leaves_memory_uninitialised(poison, as_run, as_intended, name) -> None:
    for tasks in (as_run, as_intended):
        assert all_finite(make_model(tasks[name], tasks[name].method.model_dump(mode="json")))


@pytest.mark.parametrize(("name", "method"), list(variants()))
def test_no_variant_leaves_memory_uninitialised(poison, as_run, name, method) -> None:
    assert all_finite(make_model(as_run["linear"], method))

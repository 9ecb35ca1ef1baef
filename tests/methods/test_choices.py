"""Which layers and parameters: subsets, schedules, gates, combinations; and what costs nothing."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from tiny_encoders import (
    adapter,
    bottleneck,
    conformer,
    encoder_of,
    make_model,
    outputs,
    shake,
    trained,
)

from petl import config
from petl.errors import UserError
from petl.methods.adapter import Parallel, Sequential
from petl.methods.subset import opens, start_epoch

LORA = {"family": "lora", "reduction": 4, "targets": ["q", "v"], "scale": 1.0, "init": "normal"}
DORA = LORA | {"family": "dora"}
PREFIX = {"family": "prefix", "length": 4}
DEEP = {"family": "prompt", "depth": "deep", "length": 3}
DENSE = {"family": "dense-moa", "block": bottleneck(), "experts": 2, "placement": "pfeiffer"}
DENSE |= {"attention_output": "once"}
SOFT = DENSE | {"family": "soft-moa", "slots": 1, "normalise": "none"}
ADDING = {
    "adapter": adapter(conformer()),
    "lora": LORA,
    "dora": DORA,
    "ssf": {"family": "ssf"},
    "ia3": {"family": "ia3"},
    "dense-moa": DENSE,
    "soft-moa": SOFT,
    "prefix": PREFIX,
    "deep prompts": DEEP,
}


# --- layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADDING)
def test_only_the_chosen_layers_get_something(as_run, name) -> None:
    model = make_model(as_run["linear"], ADDING[name] | {"layers": [1]})
    assert trained(model) - {"norm.weight", "norm.bias"}
    for tensor in trained(model) - {"norm.weight", "norm.bias"}:
        assert tensor.startswith("layers.1."), tensor


@pytest.mark.parametrize("name", [*ADDING, "full"])
def test_no_gradient_flows_below_the_first_trainable_place(as_run, x, name) -> None:
    method = ADDING[name] | {"layers": [1]} if name in ADDING else {"family": "full", "layers": 1}
    model = make_model(as_run["linear"], method)
    seen = {}
    encoder_of(model).layers[0].register_forward_hook(lambda _m, _i, out: seen.update(out=out))
    model(x).sum().backward()
    assert not seen["out"].requires_grad
    assert seen["out"].grad_fn is None


@pytest.mark.parametrize("name", ADDING)
def test_all_is_every_layer(as_run, x, name) -> None:
    everything, listed = (
        make_model(as_run["linear"], ADDING[name] | {"layers": layers})
        for layers in ("all", ["0-1"])
    )
    assert torch.equal(outputs(everything, x), outputs(listed, x))


def test_ranges_and_lists_that_say_the_same_are_the_same() -> None:
    def layers(given) -> object:
        return config.LoRA.model_validate(LORA | {"layers": given}).layers

    assert layers(["8-11"]) == layers([8, 9, 10, 11]) == layers([11, "8-10"]) == (8, 9, 10, 11)
    assert layers([3, "2-4"]) == (2, 3, 4)
    assert config.LoRA.model_validate(LORA).layers == "all"


@pytest.mark.parametrize("wrong", [[], ["8-"], ["11-8"], [-1], [True], "8-11", ["all"]])
def test_layers_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        config.LoRA.model_validate(LORA | {"layers": wrong})


def test_a_layer_that_the_backbone_lacks_is_one_line(as_run) -> None:
    with pytest.raises(UserError, match="no layer 2; the backbone has layers 0-1"):
        make_model(as_run["linear"], LORA | {"layers": [0, 2]})
    with pytest.raises(UserError, match="no layer 4; the backbone has layers 0-1"):
        make_model(as_run["linear"], {"family": "full", "layers": 5})


def test_shallow_prompts_have_no_layers() -> None:
    with pytest.raises(ValidationError, match="only with depth 'deep'"):
        config.Prompt.model_validate(DEEP | {"depth": "shallow", "layers": [1]})


# --- subsets --------------------------------------------------------------------------------------


def test_what_trains_where_nothing_is_added(as_run) -> None:
    every = trained(make_model(as_run["linear"], {"family": "full"}))
    final = {"norm.weight", "norm.bias"}
    assert trained(make_model(as_run["linear"], {"family": "head"})) == set()
    assert trained(make_model(as_run["linear"], {"family": "linear"})) == final
    last = trained(make_model(as_run["linear"], {"family": "full", "layers": 1}))
    assert last == final | {name for name in every if name.startswith("layers.1.")}


def test_bitfit_trains_biases_but_not_the_patch_convolutions(as_run) -> None:
    names = trained(make_model(as_run["linear"], {"family": "bitfit"}))
    assert all(name.endswith("bias") for name in names)
    assert "tokens.patch.bias" not in names
    assert {"norm.bias", "layers.0.norm_ffn.bias", "layers.1.attention.qkv.linear.bias"} <= names


@pytest.mark.parametrize("family", ["lora", "deep prompts", "prefix"])
def test_these_train_no_layer_norm_within_a_layer(as_run, family) -> None:
    names = trained(make_model(as_run["linear"], ADDING[family]))
    assert not any("layers" in name and ".norm_" in name for name in names)
    assert {"norm.weight", "norm.bias"} <= names


# --- gradual unfreezing ---------------------------------------------------------------------------


def test_the_schedule_opens_a_layer_at_a_time_and_the_embeddings_last() -> None:
    method = config.Gradual(family="gradual", start=2, every=3)
    assert [opens(method, depth) for depth in range(5)] == [1, 1, 4, 7, 10]


def test_what_is_not_open_yet_gets_no_gradient(as_run, x) -> None:
    model = make_model(as_run["linear"], {"family": "gradual", "start": 1, "every": 2})
    begins = {1: {"layers.1", "norm", "head"}, 3: {"layers.0"}, 5: {"tokens"}}
    trains: set[str] = set()
    for epoch in range(1, 7):
        trains |= begins.get(epoch, set())
        start_epoch(model, epoch)
        model.zero_grad(set_to_none=True)
        model(x).sum().backward()
        names = [
            n.replace("backbone.", "") for n, p in model.named_parameters() if p.grad is not None
        ]
        got = {".".join(name.split(".")[: 2 if name.startswith("layers") else 1]) for name in names}
        assert got == trains, epoch


def test_gradual_unfreezing_computes_what_full_fine_tuning_does(as_run, x) -> None:
    model = make_model(as_run["linear"], {"family": "gradual", "start": 1, "every": 1})
    assert torch.equal(
        outputs(model, x), outputs(make_model(as_run["linear"], {"family": "full"}), x)
    )


# --- gates ----------------------------------------------------------------------------------------

GATED = {"adapter": adapter(bottleneck()), "dense-moa": DENSE, "soft-moa": SOFT}


@pytest.mark.parametrize("gate", ["scalar", "input"])
@pytest.mark.parametrize("name", GATED)
def test_a_gate_starts_as_if_it_were_not_there(as_run, x, name, gate) -> None:
    plain, gated = (make_model(as_run["linear"], GATED[name] | {"gate": g}) for g in ("none", gate))
    torch.manual_seed(0)
    gated.head.load_state_dict(plain.head.state_dict())
    state = {n.replace(".block.block.", ".block."): t for n, t in gated.state_dict().items()}
    with torch.no_grad():
        for tensor_name, tensor in plain.state_dict().items():
            state[tensor_name].copy_(tensor)
    torch.testing.assert_close(outputs(gated, x), outputs(plain, x))


@pytest.mark.parametrize(("gate", "size"), [("scalar", 1), ("input", 33)])
def test_a_gate_multiplies_what_its_branch_adds(as_run, gate, size) -> None:
    model = make_model(as_run["linear"], adapter(bottleneck(), gate=gate))
    shake(model)
    block = next(encoder_of(model).bare_layers()).ffn.block
    h = torch.randn(2, 5, 32)
    with torch.no_grad():
        opened = block.gate if gate == "scalar" else 2 * torch.sigmoid(block.gate(h))
        torch.testing.assert_close(block(h), opened * block.block(h))
    of_gate = [p for n, p in block.named_parameters() if n.split(".")[0] == "gate"]
    assert sum(p.numel() for p in of_gate) == size
    assert all(p.requires_grad for p in of_gate)


# --- combinations ---------------------------------------------------------------------------------


def combine(*methods: dict) -> dict:
    return {"family": "combine", "methods": list(methods)}


def test_a_combination_has_what_its_methods_have(as_run) -> None:
    both = trained(make_model(as_run["linear"], combine(LORA, adapter(conformer()))))
    alone = [trained(make_model(as_run["linear"], m)) for m in (LORA, adapter(conformer()))]
    assert both == alone[0] | alone[1]


def test_the_order_does_not_matter_to_the_model_nor_to_the_run(as_run, x) -> None:
    methods = [PREFIX, adapter(bottleneck()), LORA, DEEP, {"family": "ssf"}, {"family": "bitfit"}]
    a, b = (make_model(as_run["linear"], combine(*m)) for m in (methods, methods[::-1]))
    assert torch.equal(outputs(a, x), outputs(b, x))
    ours, other = (config.Combine.model_validate(combine(*m)) for m in (methods, methods[::-1]))
    assert ours == other


def test_prompts_in_a_combination_can_be_pooled(as_run, x) -> None:
    settings = as_run["linear"].to_json()
    settings["backbone"]["pooling"] = "prompts"
    with pytest.raises(ValidationError, match="needs a prompt method"):
        config.Task.model_validate(settings | {"method": combine(LORA, PREFIX)})
    task = config.Task.model_validate(settings | {"method": combine(LORA, DEEP)})
    model = make_model(task, combine(LORA, DEEP))
    assert outputs(model, x).shape == (3, 5)
    assert model.prompts == 3


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ([LORA], "at least 2"),
        ([LORA, LORA | {"targets": ["q", "q"]}], "appears twice"),
        ([LORA, DORA], "do not combine"),
        ([PREFIX, PREFIX], "only one 'prefix'"),
        ([LORA, {"family": "full"}], "set its 'layers' to a number"),
        ([LORA, {"family": "linear"}], "does not match any of the expected tags"),
        ([LORA, PREFIX | {"length": 3}], "multiple of 2"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(methods, says) -> None:
    with pytest.raises(ValidationError, match=says):
        config.Combine.model_validate(combine(*methods))


def test_each_part_of_a_combination_gets_its_profile(as_run, as_intended) -> None:
    lora, conv = as_run["lora-and-conformer"].method.methods
    assert (lora.scale, lora.init, conv.block.layer_norm) == (0.125, "normal", "ignored")
    lora, conv = as_intended["lora-and-conformer"].method.methods
    assert (lora.scale, lora.init, conv.block.layer_norm) == (8.0, "zero-up", "applied")


def test_two_adapters_of_one_branch_stack(as_run, x) -> None:
    beside, behind = adapter(bottleneck()), adapter(bottleneck(), composition="sequential")
    model = make_model(as_run["linear"], combine(beside, behind | {"residual": True}))
    for layer in encoder_of(model).bare_layers():
        assert isinstance(layer.ffn, Sequential) and isinstance(layer.ffn.inner, Parallel)
    assert outputs(model, x).isfinite().all()


def test_alpha_and_scale_do_not_contradict_each_other() -> None:
    with pytest.raises(ValidationError, match="needs an alpha"):
        config.LoRA.model_validate(LORA | {"scale": "alpha/rank"})
    with pytest.raises(ValidationError, match="alpha has no effect"):
        config.LoRA.model_validate(LORA | {"alpha": 16.0})

"""petl in Python: the names of `import petl`, and a method on the library's own AST."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import petl
from petl import config
from petl.backbones.families import build_encoder
from petl.config.python import method_of
from petl.config.study import PRESETS
from petl.config.yamlfile import read_yaml
from petl.methods.apply import apply_method
from petl.model.build import Model

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
SMALL |= {"intermediate_size": 64, "max_length": 64, "num_mel_bins": 128, "num_labels": 5}


def test_each_name_for_python_leads_to_something() -> None:
    assert all(callable(getattr(petl, name)) for name in petl.__all__ if name[0] != "_")
    assert set(petl.__all__) <= set(dir(petl))
    with pytest.raises(AttributeError, match="no attribute 'atach'"):
        petl.atach  # noqa: B018


def test_train_is_a_room_and_a_function() -> None:
    from petl.train import run

    assert petl.train is sys.modules["petl.train"]
    with pytest.raises(TypeError, match="unexpected keyword argument 'rums'"):
        petl.train(None, rums="runs")
    assert run.train.__doc__


# --- attach ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Callable[[str], tuple[nn.Module, Path]]:
    """A model of the library with random weights, and the folder that it is saved in."""
    import transformers

    folder = tmp_path_factory.mktemp("library")

    def make(kind: str) -> tuple[nn.Module, Path]:
        torch.manual_seed(0)
        model = getattr(transformers, kind)(transformers.ASTConfig(**SMALL)).eval()
        with torch.no_grad():
            for tensor in model.parameters():
                tensor.add_(0.1 * torch.randn_like(tensor))
        if not (folder / kind).exists():
            model.save_pretrained(folder / kind)
        return model, folder / kind

    return make


def ours(folder: Path, method: config.Method) -> Model:
    """Our own model of the same checkpoint, with the same method."""
    settings = {"family": "ast", "position_embeddings": "zeros", "pooling": "all"}
    encoder = build_encoder(config.AST(source=str(folder), **settings), SMALL["max_length"])
    apply_method(encoder, method)
    return encoder.eval()


def shake(theirs: nn.Module, encoder: nn.Module) -> None:
    """Change what the method trains, in both models alike."""
    inside, parameters = theirs.base_model, dict(encoder.named_parameters())
    layers = inside.layers if hasattr(inside, "layers") else inside.encoder.layer
    pairs = [(inside.embeddings, "tokens"), (inside.layernorm, "norm")]
    pairs += [(layer.ours, f"layers.{i}") for i, layer in enumerate(layers)]
    trained = 0
    with torch.no_grad():
        for module, prefix in pairs:
            for name, parameter in module.named_parameters():
                own = parameters[f"{prefix}.{name}"]
                assert parameter.requires_grad == own.requires_grad
                if parameter.requires_grad:
                    own.add_(0.1 * torch.randn_like(own))
                    parameter.copy_(own)
                    trained += 1
                else:
                    assert torch.equal(parameter, own)
    assert trained == sum(p.requires_grad for p in parameters.values())


def logits(model: nn.Module, h: Tensor) -> Tensor:
    """The library's classifier over our encoder's tokens."""
    return model.classifier(h[:, :2].mean(dim=1))


EVERYDAY = ("lora", "conformer-houlsby", "dpt-25")
METHODS = [
    pytest.param(name, marks=() if name in EVERYDAY else pytest.mark.slow)
    for name in read_yaml(PRESETS).data["methods"]
]


@pytest.mark.parametrize("method", METHODS)
def test_a_model_of_the_library_with_a_method_computes_what_ours_does(method, library) -> None:
    model, folder = library("ASTForAudioClassification")
    small = {"reduction": 8} if method in ("lora", "dora") else {}
    chosen = method_of(method, **small)
    torch.manual_seed(1)
    assert petl.attach(model, method, **small) is model
    torch.manual_seed(1)
    encoder = ours(folder, chosen)
    shake(model, encoder)
    x = torch.randn(2, SMALL["max_length"], 128)
    with torch.no_grad():
        assert (model(x).logits - logits(model, encoder(x))).abs().max() < 1e-6
        hidden = model.base_model(x).last_hidden_state
    assert (hidden - encoder(x)).abs().max() < 1e-5
    assert all(p.requires_grad for p in model.classifier.parameters())


def test_an_attached_method_learns(library) -> None:
    model, _ = library("ASTForAudioClassification")
    petl.attach(model, "lora", reduction=8).train()
    frozen = [p.clone() for p in model.parameters() if not p.requires_grad]
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=5e-3)
    x, labels, losses = torch.randn(8, SMALL["max_length"], 128), torch.arange(8) % 5, []
    for _ in range(10):
        loss = model(x, labels=labels).loss
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]
    assert all(map(torch.equal, frozen, (p for p in model.parameters() if not p.requires_grad)))


def test_what_was_trained_is_loaded_into_a_fresh_model(library) -> None:
    model, x = petl.attach(library("ASTModel")[0], "ia3"), torch.randn(1, SMALL["max_length"], 128)
    with torch.no_grad():
        for tensor in petl.trained_state(model).values():
            tensor.add_(0.1)
        expected = model(x).last_hidden_state
        again = petl.attach(library("ASTModel")[0], "ia3")
        assert not torch.equal(again(x).last_hidden_state, expected)
        again.load_state_dict(petl.trained_state(model), strict=False)
        assert torch.equal(again(x).last_hidden_state, expected)


def test_a_merged_method_is_gone_and_computes_the_same(library) -> None:
    model, x = petl.attach(library("ASTModel")[0], "ssf"), torch.randn(1, SMALL["max_length"], 128)
    with torch.no_grad():
        before = model(x).last_hidden_state
        petl.merge(model)
        assert (model(x).last_hidden_state - before).abs().max() < 1e-5
    assert not any("scale" in name for name, _ in model.named_parameters())


def test_gradual_unfreezing_follows_the_epochs(library) -> None:
    model, _ = library("ASTModel")
    petl.attach(model, "gradual", start=1, every=1)

    def learning(epoch: int) -> int:
        petl.start_epoch(model, epoch)
        model.zero_grad(set_to_none=True)
        model(torch.randn(1, SMALL["max_length"], 128)).last_hidden_state.sum().backward()
        return sum(p.grad is not None for p in model.parameters())

    first, second = learning(1), learning(2)
    assert 0 < first < second < learning(4)


def test_hidden_states_are_given_and_masks_refused(library) -> None:
    model, x = petl.attach(library("ASTModel")[0], "lora"), torch.randn(1, SMALL["max_length"], 128)
    assert len(model(x, output_hidden_states=True).hidden_states) == 4
    with pytest.raises(petl.UserError, match="no mask"):
        model.base_model.get_submodule(
            "layers.0" if hasattr(model, "layers") else "encoder.layer.0"
        )(x, torch.ones(1))


REFUSED = [
    (lambda model: petl.attach(nn.Linear(2, 2), "lora"), "not 'Linear'"),
    (lambda model: petl.attach(petl.attach(model, "lora"), "ia3"), "has a method already"),
    (lambda model: petl.attach(model, "lorra"), "unknown method 'lorra'; did you mean 'lora'"),
    (lambda model: petl.attach(model, "lora", rduction=4), "did you mean 'reduction'"),
    (lambda model: petl.attach(model, {"family": "lora"}), "'method.reduction' is missing"),
    (lambda model: petl.attach(model, "lora", layers=[7]), "there is no layer 7"),
]


@pytest.mark.parametrize(("wrong", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_a_wrong_attach_is_one_line_and_changes_nothing(wrong, told, library) -> None:
    model, _ = library("ASTModel")
    x = torch.randn(1, SMALL["max_length"], 128)
    before = model(x).last_hidden_state
    with pytest.raises(petl.UserError, match=told) as error:
        wrong(model)
    assert "\n" not in str(error.value)
    if "already" not in told:
        assert torch.equal(model(x).last_hidden_state, before)
        assert all(p.requires_grad for p in model.parameters())


def test_a_library_model_with_dropout_is_refused(library) -> None:
    model, _ = library("ASTModel")
    model.config.hidden_dropout_prob = 0.1
    with pytest.raises(petl.UserError, match=r"its hidden_dropout_prob is 0.1"):
        petl.attach(model, "lora")

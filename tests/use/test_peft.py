"""PEFT reads what `petl export --peft` writes, and petl reads what PEFT writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from test_export import ADAPTER, GOLDEN, LOW_RANK, by_readme, deviation, export, petl, spectrograms

import petl as python
from petl.places import Places
from petl.use.load import load_run

TOLERANCE = 1e-6
ALL = ["q", "k", "v", "o"]
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"family": "lora", "targets": ["q", "v"], **LOW_RANK},
    "lora on all of a layer": {"family": "lora", "targets": ALL, "layers": [1], **LOW_RANK},
    "dora": {"family": "dora", "targets": ["q", "v", "o"], **LOW_RANK},
    "ia3": {"family": "ia3"},
}
LONGER = {"dataset": {"frames": 130}}
BUILTIN = {"backbone": {"source": "builtin:small"}}
OWN_HEAD = {"pooling": "all", "position_embeddings": "interpolate"}


def slow(value: Any) -> Any:
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def peft():
    """Both stacks have it."""
    try:
        import peft
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("peft is not installed; `make setup` installs it")
    return peft


def logits(folder: Path, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return load_run(folder, Places.choose()).model(x)


@pytest.mark.parametrize("method", ["lora", *(slow(name) for name in METHODS if name != "lora")])
@pytest.mark.parametrize(
    "settings",
    [{}, slow(LONGER), slow({"backbone": OWN_HEAD}), slow(BUILTIN)],
    ids=["", "longer", "own head", "builtin"],
)
def test_an_exported_adapter_gives_our_logits_in_peft(
    method: str, settings: dict[str, Any], written, peft, tmp_path: Path
) -> None:
    run = written(method=METHODS[method], **settings)
    folder = export(run, tmp_path / "out", "peft")
    x = spectrograms(settings.get("dataset", {}).get("frames", 100))
    expected = logits(run.path, x)
    with torch.no_grad():
        assert deviation(by_readme(folder, x), expected) < TOLERANCE
    assert deviation(logits(folder, x), expected) < TOLERANCE


def test_an_export_is_read_again_with_classes_and_statistics(written, tmp_path: Path) -> None:
    run = written(method=METHODS["lora"])
    folder = export(run, tmp_path / "out", "peft")
    ours, again = python.load(run.path), python.load(folder)
    assert again.classes == ours.classes
    assert again.run.statistics == ours.run.statistics
    assert again.run.task.dataset.kind is ours.run.task.dataset.kind
    told = petl("export", run.path, tmp_path / "same", "--peft")
    assert told.exit_code == 0, told.output
    assert {file.name for file in folder.iterdir()} == {
        *("README.md", "adapter_config.json", "adapter_model.safetensors"),
        *("config.json", "preprocessor_config.json"),
    }


@pytest.mark.parametrize("kind", ["dora", *map(slow, ["lora", "rslora", "ia3"])])
def test_what_peft_trains_and_saves_is_read(kind: str, peft, tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = str(GOLDEN / "ast_tiny")
    shape = transformers.ASTConfig.from_pretrained(base, num_labels=5)
    model = transformers.ASTForAudioClassification.from_pretrained(base, config=shape)
    model.config._name_or_path = base
    last = ("key", "value", "output.dense", "k_proj", "v_proj", "fc2")
    if kind == "ia3":
        down = [n for n, _ in model.named_modules() if n.endswith(("output.dense", "fc2"))]
        down = [n for n in down if "attention" not in n]
        both = [n for n, _ in model.named_modules() if n.endswith(last) and "output" not in n]
        settings = peft.IA3Config(
            target_modules=both + down, feedforward_modules=down, modules_to_save=["classifier"]
        )
    else:
        settings = peft.LoraConfig(
            r=4,
            lora_alpha=6,
            use_dora=kind == "dora",
            use_rslora=kind == "rslora",
            init_lora_weights=False,
            target_modules=["query", "value", "q_proj", "v_proj"],
            modules_to_save=["classifier"],
        )
    trained = peft.get_peft_model(model, settings).eval()
    with torch.no_grad():
        for parameter in trained.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    trained.save_pretrained(tmp_path)
    x = spectrograms(shape.max_length)
    with torch.no_grad():
        theirs = trained(x).logits
    assert deviation(logits(tmp_path, x), theirs) < TOLERANCE
    assert python.load(tmp_path).classes == ("0", "1", "2", "3", "4")


COMBINED = {"family": "combine", "methods": [METHODS["lora"], {"family": "ia3"}]}
REFUSED = {
    "peft has no layout for 'adapter' on an AST; use --format adapter": ADAPTER,
    "peft has no layout for 'ssf'": {"family": "ssf"},
    "peft writes one method, and this run combines lora and ia3": COMBINED,
}


@pytest.mark.parametrize("told", REFUSED)
def test_a_method_that_peft_lacks_is_refused(told: str, written, tmp_path: Path) -> None:
    run = written(method=REFUSED[told])
    result = petl("export", run.path, tmp_path / "out", "--peft")
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def _config(folder: Path, name: str = "adapter_config.json", **changed: Any) -> None:
    file = folder / name
    settings = json.loads(file.read_text()) | changed
    file.write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))


def _tensor(folder: Path, **changed: torch.Tensor | None) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file) | {f"base_model.model.{k}": t for k, t in changed.items()}
    save_file({k: t.clone() for k, t in tensors.items() if t is not None}, file)


BIAS = "classifier.dense.bias"
DAMAGE = {
    "bias is all, and petl has only none": lambda folder: _config(folder, bias="all"),
    "rank_pattern is {'q': 3}": lambda folder: _config(folder, rank_pattern={"q": 3}),
    "r is 13; petl has ranks of 32 / n": lambda folder: _config(folder, r=13),
    "r is 10{20,38}, not a whole number": lambda folder: _config(folder, r=10**38),
    "lora_alpha is no number": lambda folder: _config(folder, lora_alpha="x"),
    "this is LOHA on q, v": lambda folder: _config(folder, peft_type="LOHA"),
    "'r' is missing": lambda folder: _config(folder, r=None),
    "has to name the AST": lambda folder: _config(folder, base_model_name_or_path=""),
    "its model_type is 'wav2vec2'": lambda folder: _config(
        folder, base_model_name_or_path=str(GOLDEN / "wav2vec2_tiny")
    ),
    "other is unexpected": lambda folder: _tensor(folder, other=torch.zeros(1)),
    "it has no classifier.dense.bias": lambda folder: _tensor(folder, **{BIAS: None}),
    "not those of 90000 frames": lambda folder: _config(folder, "config.json", max_length=90_000),
}


def test_a_second_final_norm_is_refused(written, tmp_path: Path) -> None:
    run = written(method=METHODS["lora"], backbone=OWN_HEAD, head={"norm": "twice"})
    result = petl("export", run.path, tmp_path / "out", "--peft")
    assert (result.exit_code, "this run has `head.norm: twice`" in result.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("told", DAMAGE)
def test_an_adapter_that_petl_cannot_compute_is_one_line(told: str, written, tmp_path) -> None:
    folder = export(written(method=METHODS["lora"]), tmp_path / "out", "peft")
    DAMAGE[told](folder)
    with pytest.raises(python.UserError, match=told) as error:
        python.load(folder)
    assert "\n" not in str(error.value)

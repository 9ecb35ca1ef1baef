"""What is handed on computes the same: by us from an adapter, by the library from a whole model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import foreign_models as foreign
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner, Result

from petl import config
from petl.backbones.families import bare_encoder
from petl.cli import app
from petl.config.methods.base import FAMILIES
from petl.data.decode import read
from petl.data.features import spectrogram
from petl.files import write_json
from petl.use.load import load_run

GOLDEN = Path(__file__).parent.parent / "golden"
LOW_RANK: dict[str, Any] = {"reduction": 8, "init": "normal", "scale": 2.0}
MERGE: dict[str, dict[str, Any]] = {
    "full": {"family": "full"},
    "last layer": {"family": "full", "layers": 1},
    "linear": {"family": "linear"},
    "head": {"family": "head"},
    "gradual": {"family": "gradual", "start": 1, "every": 1},
    "bitfit": {"family": "bitfit"},
    "lora": {"family": "lora", "targets": ["q", "v"], **LOW_RANK},
    "lora on all": {"family": "lora", "targets": ["q", "k", "v", "o"], **LOW_RANK},
    "dora": {"family": "dora", "targets": ["q", "v", "o"], **LOW_RANK},
    "ia3": {"family": "ia3"},
    "ssf": {"family": "ssf"},
    "ssf on a layer": {"family": "ssf", "layers": [1]},
    "both": {"family": "combine", "methods": [{"family": "bitfit"}, {"family": "ssf"}]},
}
BOTTLENECK = {"kind": "bottleneck", "reduction": 8, "init": "normal"}
ADAPTER = {
    "family": "adapter",
    "block": BOTTLENECK,
    "placement": "pfeiffer",
    "composition": "parallel",
    "residual": False,
}
STAY: dict[str, dict[str, Any]] = {
    "adapter": ADAPTER,
    "dense-moa": {
        "family": "dense-moa",
        "block": BOTTLENECK,
        "experts": 2,
        "placement": "pfeiffer",
        "attention_output": "once",
    },
    "prompt": {"family": "prompt", "depth": "deep", "length": 3},
    "prefix": {"family": "prefix", "length": 4},
    "half of a combination": {
        "family": "combine",
        "methods": [{"family": "lora", "targets": ["q"], **LOW_RANK}, ADAPTER],
    },
}
TOLERANCE = 3e-6


def petl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def export(run, out: Path, format: str) -> Path:
    told = petl("export", run.path, out, "--format", format)
    assert told.exit_code == 0, told.output
    return out


def spectrograms(frames: int = 100) -> Tensor:
    return torch.randn(3, frames, 128, generator=torch.Generator().manual_seed(1))


def ours(run, places, x: Tensor) -> Tensor:
    with torch.no_grad():
        return load_run(run.path, places).model(x)


def by_readme(folder: Path, x: Tensor) -> Tensor:
    """What somebody gets who copies the lines out of the README."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    names = {"folder": str(folder), "input_values": x}
    exec(code, names)
    return names["logits"]


def deviation(one: Tensor, other: Tensor) -> float:
    return float(((one - other).abs() / other.abs().clamp(min=1)).max())


# --- as a classifier of the library


@pytest.mark.parametrize("name", MERGE)
def test_the_librarys_classifier_gives_the_same_logits(written, places, name, tmp_path) -> None:
    run, x = written(method=MERGE[name]), spectrograms()
    folder = export(run, tmp_path / "out", "huggingface")
    model = transformers.ASTForAudioClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        theirs = model(x).logits
    assert deviation(theirs, ours(run, places, x)) < TOLERANCE
    assert torch.equal(by_readme(folder, x), theirs)
    assert model.config.id2label[3] == "kind 3"
    assert model.config.problem_type == "single_label_classification"


@pytest.mark.parametrize(
    ("pooling", "norm"), [("all", "twice"), ("cls", "once"), ("speech", "once")]
)
def test_another_pooling_becomes_an_encoder_with_its_head(written, places, pooling, norm, tmp_path):
    backbone = {"pooling": pooling, "position_embeddings": "interpolate"}
    run = written(method=MERGE["lora"], backbone=backbone, head={"norm": norm})
    x = spectrograms()
    told = petl("export", run.path, tmp_path / "out", "--format", "huggingface")
    assert told.exit_code == 0, told.output
    assert f"`pooling: {pooling}`" in told.stdout
    assert deviation(by_readme(tmp_path / "out", x), ours(run, places, x)) < TOLERANCE
    said = json.loads((tmp_path / "out" / "config.json").read_text())
    assert said["architectures"] == ["ASTModel"]
    encoder = transformers.ASTModel.from_pretrained(tmp_path / "out").eval()
    model = load_run(run.path, places).model
    with torch.no_grad():
        hidden = encoder(x).last_hidden_state
        assert deviation(hidden, model.backbone(x)) < TOLERANCE


def test_merged_ssf_adds_biases(written, places, tmp_path: Path) -> None:
    """SSF shifts what had no bias; on one layer alone the others get zeros."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"intermediate_size": 64, "max_length": 100, "qkv_bias": False}
    source = tmp_path / "no bias"
    settings = transformers.ASTConfig(**shape)
    transformers.ASTModel(settings).save_pretrained(source)
    for name in ("linear", "ssf on a layer"):
        run = written(method=MERGE[name], backbone={"source": str(source)})
        x = spectrograms()
        folder = export(run, tmp_path / name, "huggingface")
        assert deviation(by_readme(folder, x), ours(run, places, x)) < TOLERANCE


def test_a_regression_is_exported_as_one(written, places, tmp_path: Path) -> None:
    table = {"file": "t.csv", "path": "path", "fold": "fold"}
    dataset = {"layout": "table", "split": "given", "classes": None, "table": table}
    run = written(dataset=dataset | {"targets": ["valence", "arousal"]})
    folder = export(run, tmp_path / "out", "huggingface")
    assert (
        deviation(by_readme(folder, spectrograms()), ours(run, places, spectrograms())) < TOLERANCE
    )
    said = json.loads((folder / "config.json").read_text())
    assert (said["problem_type"], said["id2label"]["1"]) == ("regression", "arousal")


def test_every_method_either_merges_or_says_why_not() -> None:
    merging = {part["family"] for part in MERGE.values()} - {"combine"}
    staying = {name for name, method in FAMILIES.items() if method.why_not_merged}
    assert merging | staying == set(FAMILIES) - {"combine"}
    assert not merging & staying


@pytest.mark.parametrize("name", STAY)
def test_a_method_that_cannot_be_merged_is_refused(written, name, tmp_path: Path) -> None:
    backbone = {"pooling": "all"}
    run = written(method=STAY[name], backbone=backbone)
    told = petl("export", run.path, tmp_path / "out", "--format", "huggingface")
    assert told.exit_code == 2
    assert "cannot be merged" in told.stderr
    assert "--format adapter" in told.stderr
    assert not (tmp_path / "out").exists()
    assert petl("export", run.path, tmp_path / "out").exit_code == 0


def test_the_librarys_extractor_gives_our_input(written, places, tmp_path: Path) -> None:
    """As files decode here; in its numpy way where torchaudio is not installed."""
    from transformers.utils import is_speech_available

    if transformers.__version__ < "4.30" and not is_speech_available():
        pytest.skip("this version of transformers extracts with torchaudio, which is not installed")
    run = written(method=MERGE["lora"])
    folder = export(run, tmp_path / "out", "huggingface")
    extract = transformers.ASTFeatureExtractor.from_pretrained(folder)
    loaded = load_run(run.path, places)
    for clip in sorted((places.data / "tiny" / "audio").glob("*.wav"))[:10]:
        waveform = read(clip)
        theirs = extract(waveform, sampling_rate=16_000, return_tensors="pt").input_values[0]
        raw = torch.from_numpy(spectrogram(waveform, 100))
        own = (raw - loaded.statistics.mean) / (2 * loaded.statistics.std)
        assert float((theirs - own).abs().max()) < 1e-4


def test_other_backbones_are_refused(written, tmp_path: Path) -> None:
    backbone = {"family": "wav2vec2", "source": str(GOLDEN / "wav2vec2_tiny"), "dropout": "none"}
    run = written(backbone=backbone, method={"family": "head"})
    told = petl("export", run.path, tmp_path / "out", "--format", "huggingface")
    assert (told.exit_code, "this backbone is wav2vec2" in told.stderr) == (2, True)


# --- as an adapter


@pytest.mark.parametrize("name", [*MERGE, *STAY])
def test_an_exported_adapter_gives_the_same_outputs(written, places, name, tmp_path: Path) -> None:
    run = written(method=(MERGE | STAY)[name], backbone={"pooling": "all"})
    folder = export(run, tmp_path / "out", "adapter")
    x = spectrograms()
    again = load_run(folder, places)
    with torch.no_grad():
        assert torch.equal(again.model(x), ours(run, places, x))
    assert again.names == load_run(run.path, places).names
    assert again.statistics == config.Statistics(mean=-5.0, std=3.0)

    _the_description_is_right(folder)


def _the_description_is_right(folder: Path) -> None:
    """It names the library's tensors: all of the backbone's, and nothing that a method added."""
    said = json.loads((folder / "adapter.json").read_text())
    tensors = load_file(folder / "adapter.safetensors")
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    assert {name: tensor["shape"] for name, tensor in said["tensors"].items()} == shapes
    theirs = _library_shapes()
    named = {name: t["library"] for name, t in said["tensors"].items() if t["library"]}
    for name, parts in named.items():
        rows = sum(theirs[part][0] for part in parts)
        assert shapes[name] == [rows, *theirs[parts[0]][1:]] or name.endswith("position")
    own = {f"backbone.{name}" for name in bare_encoder(_backbone(), 100).state_dict()}
    for name in tensors:
        stripped = name.replace(".inner", "")
        assert (name in named) == (stripped in own), name


def _backbone() -> config.AST:
    source = str(GOLDEN / "ast_tiny")
    return config.AST(family="ast", source=source, position_embeddings="zeros", pooling="all")


def _library_shapes() -> dict[str, list[int]]:
    tensors = torch.load(GOLDEN / "ast_tiny" / "pytorch_model.bin")
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def test_an_exported_adapter_predicts_without_the_run(trained, places, tmp_path: Path) -> None:
    run = trained("conformer")
    folder = export(run, tmp_path / "out", "adapter")
    clip = next((places.data / "tiny" / "audio").glob("*.wav"))
    by_run = petl("predict", run.path, clip, "--json")
    by_adapter = petl("predict", folder, clip, "--json")
    assert by_run.exit_code == 0, by_run.output
    assert by_adapter.stdout == by_run.stdout
    said = json.loads((folder / "adapter.json").read_text())
    assert said["metrics"] == run.result()["metrics"]
    assert said["classes"] == run.result()["classes"]


def test_the_same_run_gives_the_same_bytes(written, tmp_path: Path) -> None:
    run = written(method=MERGE["lora"])
    for format in ("adapter", "huggingface"):
        one, other = (export(run, tmp_path / f"{format}{i}", format) for i in range(2))
        for file in one.iterdir():
            assert file.read_bytes() == (other / file.name).read_bytes()


def test_export_never_overwrites(written, tmp_path: Path) -> None:
    run = written(method=MERGE["linear"])
    (tmp_path / "out").mkdir()
    write_json(tmp_path / "out" / "mine.json", {})
    told = petl("export", run.path, tmp_path / "out")
    assert (told.exit_code, "exists already" in told.stderr) == (2, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.json"]
    (tmp_path / "out" / "mine.json").unlink()
    export(run, tmp_path / "out", "adapter")
    (tmp_path / "a file").write_text("")
    told = petl("export", run.path, tmp_path / "a file" / "below")
    assert told.exit_code == 2
    assert "Traceback" not in told.output


@pytest.mark.parametrize("format", ["huggingface", "peft"])
def test_an_encoder_that_the_library_does_not_have_is_refused(
    format: str, written, tmp_path: Path
) -> None:
    """Without DIST there is no AST of the library, and PEFT would start an unknown layout anew."""
    (tmp_path / "config.json").write_text('{"model_args": {"num_heads": 4}}')
    torch.save(foreign.timm(), tmp_path / "mae.pth")
    backbone = {"source": str(tmp_path / "mae.pth"), "pooling": "all"}
    run = written(backbone=backbone, method=MERGE["lora"])
    told = petl("export", run.path, tmp_path / "out", "--format", format)
    assert told.exit_code == 2
    assert "layout" in told.stderr and "audio_mae" in told.stderr and told.stderr.count("\n") == 1

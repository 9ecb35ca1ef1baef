"""Checkpoints from strangers, given to the commands: one line, exit code 2, and nothing runs."""

from __future__ import annotations

import json
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_checkpoint_files import Touch
from typer.testing import CliRunner

from petl.backbones.families import build_encoder
from petl.cli import app
from petl.config import AST, Wav2Vec2
from petl.errors import UserError

GOLDEN = Path(__file__).parents[1] / "golden"
FLAGS = "dataset_name=ESC-50,method=linear,final_output=ALL,is_AST=True"


def scripted(path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


FILES: dict[str, Callable[[Path, Path], object]] = {
    "a pickle": lambda path, mark: torch.save({"w": Touch(mark)}, path),
    "an old pickle": lambda path, mark: torch.save(
        {"w": Touch(mark)}, path, _use_new_zipfile_serialization=False
    ),
    "TorchScript": lambda path, mark: scripted(path),
    "half": lambda path, mark: path.write_bytes(
        (GOLDEN / "ast_tiny" / "pytorch_model.bin").read_bytes()[:5000]
    ),
    "nothing": lambda path, mark: path.write_bytes(b""),
    "no file": lambda path, mark: None,
    "a folder": lambda path, mark: path.mkdir(),
}
TENSORS: dict[str, bytes] = {
    "a header of exabytes": struct.pack("<Q", 2**62) + b"{}",
    "a header of gigabytes": struct.pack("<Q", 2**32) + b"{}",
    "half": struct.pack("<Q", 60) + b'{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}     ',
    "nothing": b"",
    "a tensor of terabytes": struct.pack("<Q", 72)
    + b'{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'.ljust(72)
    + bytes(4),
}


def one_line(*arguments: object) -> str:
    started = time.process_time()
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.count("\n") == 1
    assert time.process_time() - started < 10
    return result.stderr


@pytest.mark.parametrize("name", FILES)
def test_an_archive_is_refused(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    FILES[name](tmp_path / "best.pth", mark)
    assert "best.pth" in one_line(
        "import-authors", tmp_path / "best.pth", tmp_path / "out", "--flags", FLAGS
    )
    assert not mark.exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", TENSORS)
def test_a_safetensors_file_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "best.safetensors"
    file.write_bytes(TENSORS[name])
    assert "best.safetensors" in one_line(
        "import-authors", file, tmp_path / "out", "--flags", FLAGS
    )
    folder = backbone(tmp_path / "backbone", "ast_tiny", {})
    (folder / "pytorch_model.bin").unlink()
    (folder / "model.safetensors").write_bytes(TENSORS[name])
    assert "model.safetensors" in refusal(folder)


# --- config.json ----------------------------------------------------------------------------------


def backbone(folder: Path, like: str, change: dict[str, Any] | bytes) -> Path:
    folder.mkdir()
    config = json.loads((GOLDEN / like / "config.json").read_text())
    content = change if isinstance(change, bytes) else json.dumps(config | change).encode()
    (folder / "config.json").write_bytes(content)
    (folder / "pytorch_model.bin").symlink_to(GOLDEN / like / "pytorch_model.bin")
    return folder


def refusal(folder: Path) -> str:
    """The one line, within limits of time and memory."""
    settings = AST(family="ast", source=str(folder), position_embeddings="zeros", pooling="all")
    if folder.name == "wav2vec2_tiny":
        settings = Wav2Vec2(family="wav2vec2", source=str(folder), dropout="checkpoint")
    started = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as error:
        build_encoder(settings, 100)
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value) or "smaller than a patch" in str(error.value)
    return str(error.value)


SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
SIZES += ("patch_size", "time_stride", "frequency_stride", "max_length", "num_mel_bins")
WAVES = ("hidden_size", "conv_dim", "conv_kernel", "conv_stride", "num_feat_extract_layers")
WAVES += ("num_conv_pos_embeddings", "num_conv_pos_embedding_groups")


@pytest.mark.parametrize("key", SIZES)
def test_a_size_of_another_kind_or_beyond_the_weights_is_refused(key: str, tmp_path: Path) -> None:
    for i, value in enumerate((10**9, 0, -4, "12", [12], None, {}, 2.5, 1e400)):
        refusal(backbone(tmp_path / str(i), "ast_tiny", {key: value}))


@pytest.mark.parametrize("key", WAVES)
def test_a_size_of_wav2vec_is_checked_too(key: str, tmp_path: Path) -> None:
    for i, value in enumerate((0, -4, "12", None, {}, [10**9] * 3, [0] * 3, ["a"] * 3)):
        if (key, value) == ("conv_stride", [10**9] * 3):
            continue  # weights do not depend on it, and it costs nothing
        (tmp_path / str(i)).mkdir()
        refusal(backbone(tmp_path / str(i) / "wav2vec2_tiny", "wav2vec2_tiny", {key: value}))


@pytest.mark.parametrize("value", ["x", None, [1], -1, 10**400])
def test_a_rate_of_another_kind_is_refused(value: Any, tmp_path: Path) -> None:
    refusal(backbone(tmp_path / "eps", "ast_tiny", {"layer_norm_eps": value}))
    change = {"hidden_dropout": value}
    refusal(backbone(tmp_path / "wav2vec2_tiny", "wav2vec2_tiny", change))


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b"null", b"[" * 900_000, b'{"a":' * 100_000, b" " * 100_000_000, b"\xff\xfe{}"],
    ids=["empty", "a list", "null", "nested lists", "nested objects", "100 MB", "no text"],
)
def test_a_config_that_is_no_json_object_is_refused(content: bytes, tmp_path: Path) -> None:
    assert "config.json" in refusal(backbone(tmp_path / "backbone", "ast_tiny", content))


def test_import_authors_allocates_nothing_for_a_config_beyond_the_weights(tmp_path: Path) -> None:
    huge = backbone(tmp_path / "huge", "ast_tiny", {"hidden_size": 10**6, "num_attention_heads": 1})
    torch.save({"classification_head.weight": torch.ones(50, 32)}, tmp_path / "best.pth")
    flags = f"{FLAGS},model_ckpt_AST={huge}"
    one_line("import-authors", tmp_path / "best.pth", tmp_path / "out", "--flags", flags)
    assert not (tmp_path / "out").exists()

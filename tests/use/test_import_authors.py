"""A checkpoint that the released code saved becomes a task and its trained weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from golden_cases import GOLDEN, INDEX, Case, deviation
from safetensors.torch import load_file
from typer.testing import CliRunner

from petl.backbones.library import read_checkpoint
from petl.cli import app
from petl.config import Task
from petl.errors import UserError
from petl.model.build import build_model, restore
from petl.use.import_authors import Flags, import_checkpoint, read_flags

CASES = [
    "full_ft",
    "bitfit",
    "prompt_deep_prompts_speech",
    "prefix",
    "lora_ablation_WqWkWvWo",
    "adapter_ablation_conformer_mhsa_sequential_before",
    "soft_moa_bottleneck_houlsby_mhsa_norm",
]


def saved(name: str, folder: Path) -> Path:
    """A whole state_dict as torch.save writes it: some tensors twice, as their models hold them."""
    _, backbone = read_checkpoint(str(GOLDEN / "ast_tiny"))
    state = {f"model.{key}": tensor for key, tensor in backbone.items()} | Case(name).state
    state |= {
        key.removeprefix("model."): tensor for key, tensor in state.items() if "layernorm" in key
    }
    path = folder / "best_model.pth"
    torch.save(state, path)
    return path


def flags_of(name: str) -> Flags:
    more = {"dataset_name": "ESC-50", "max_length": INDEX["max_length"]}
    return Flags(Case(name).flags | more | {"model_ckpt_AST": str(GOLDEN / "ast_tiny")})


@pytest.mark.parametrize("name", CASES)
def test_what_was_imported_gives_the_recorded_logits(name: str, tmp_path: Path) -> None:
    import_checkpoint(saved(name, tmp_path), flags_of(name), tmp_path / "out")
    task = Task.model_validate(json.loads((tmp_path / "out" / "task.json").read_text()))
    model = build_model(task)
    restore(model, load_file(tmp_path / "out" / "weights.safetensors"))
    with torch.no_grad():
        logits = model.eval()(Case(name).batches()[0][0])
    assert deviation(logits, Case(name).numbers["logits_eval"]) < 1e-5


def test_only_what_was_trained_is_kept(tmp_path: Path) -> None:
    import_checkpoint(saved("prefix", tmp_path), flags_of("prefix"), tmp_path / "out")
    kept = load_file(tmp_path / "out" / "weights.safetensors")
    assert sum(t.numel() for t in kept.values()) == INDEX["cases"]["prefix"]["trainable"]


def test_the_command_takes_flags_from_a_file_and_from_the_line(tmp_path: Path) -> None:
    checkpoint, flags = saved("lora", tmp_path), flags_of("lora")
    (tmp_path / "flags.json").write_text(json.dumps(flags))
    line = ",".join(f"{key}={value}" for key, value in flags.items())
    for given, out in ((str(tmp_path / "flags.json"), "a"), (line, "b")):
        arguments = ["import-authors", str(checkpoint), str(tmp_path / out), "--flags", given]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    a, b = ((tmp_path / out / "task.json").read_text() for out in "ab")
    assert a == b
    assert json.loads(a)["method"]["scale"] == flags["alpha_lora"] / flags["reduction_rate_lora"]


def test_a_comma_within_a_value_stays() -> None:
    flags = read_flags("method=LoRA-ablation,lora_config=Wq,Wv,apply_residual=False,lr=5e-3")
    assert flags == {
        "method": "LoRA-ablation",
        "lora_config": "Wq,Wv",
        "apply_residual": False,
        "lr": 0.005,
    }


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    checkpoint, flags = saved("lora", tmp_path), flags_of("lora")
    with pytest.raises(UserError, match="'alpha_lora' is missing"):
        without = {key: value for key, value in flags.items() if key != "alpha_lora"}
        import_checkpoint(checkpoint, Flags(without), tmp_path / "out")
    with pytest.raises(UserError, match=r"the checkpoint does not fit the flags: .* is unexpected"):
        import_checkpoint(checkpoint, Flags(flags | {"method": "linear"}), tmp_path / "out")
    with pytest.raises(UserError, match=r"does not fit the flags: .* is missing.* \(and 13 more\)"):
        adapter = flags_of("adapter_bottleneck_pfeiffer_parallel")
        import_checkpoint(checkpoint, adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"classification_head.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="cannot be read as weights"):
        import_checkpoint(tmp_path / "evil.pth", flags_of("lora"), tmp_path / "out")
    assert "executed" not in capsys.readouterr().out

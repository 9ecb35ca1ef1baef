"""Commands that use a finished run's weights name the run if they are damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from typer.testing import CliRunner

from petl.cli import app
from petl.config import Task
from petl.places import Places
from petl.runs.directory import RunDir

WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda old: b"",
    "half": lambda old: old[: len(old) // 2],
    "NUL": lambda old: bytes(len(old)),
    "a header of exabytes": lambda old: b"\xff" * 8 + old[8:],
    "of something else": lambda old: save({"a": torch.ones(2)}),
    "facts that are no JSON": lambda old: old.replace(b'{\\"run_id', b'[\\"run_id', 1),
    "facts that are a list": lambda old: save(_tensors(old), {"petl": json.dumps([1])}),
}


def _tensors(content: bytes) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return load(content)


@pytest.mark.parametrize("name", WEIGHTS)
def test_damaged_weights_are_named_with_their_run(
    tiny_tasks: tuple[Places, Task, Task], undisturbed: RunDir, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "runs" / undisturbed.path.parent.name / undisturbed.path.name
    shutil.copytree(undisturbed.path, run)
    weights = run / "weights.safetensors"
    damaged = WEIGHTS[name](weights.read_bytes())
    assert damaged != weights.read_bytes()
    weights.write_bytes(damaged)
    places = tiny_tasks[0]
    folders = ["--data", str(places.data), "--cache", str(places.cache)]
    for command in (
        ["evaluate", str(run), *folders],
        ["predict", str(run), "x.wav"],
        ["export", str(run), str(tmp_path / "out")],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2, (command, result.output, result.exception)
        assert result.stderr.count("\n") == 1
        assert f"{run.name}/weights.safetensors" in result.stderr
    assert not (tmp_path / "out").exists()

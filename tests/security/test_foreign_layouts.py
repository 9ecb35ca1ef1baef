"""Checkpoints in other layouts, made to break: one line, at once, and no memory for it."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_models as foreign
import pytest
import torch
from foreign_models import Tensors, eat_file, timm
from test_checkpoint_files import Touch

from petl import config
from petl.backbones.families import build_encoder
from petl.errors import UserError

HEADS: dict[str, Any] = {"num_attention_heads": 4, "num_heads": 4, "model_args": {"num_heads": 4}}


def ssast() -> Tensors:
    """What is read of it."""
    unused = ("mask_embed", "gpredlayer", "v.head")
    bare = {name.removeprefix("module."): t for name, t in foreign.ssast_file().items()}
    return {name: tensor for name, tensor in bare.items() if not name.startswith(unused)}


MAKE: dict[str, Callable[[], Tensors]] = {"Audio-MAE": timm, "SSAST": ssast, "EAT": eat_file}


def refusal(folder: Path, tensors: dict[str, Any], said: dict[str, Any] = HEADS) -> str:
    (folder / "config.json").write_text(json.dumps(said))
    torch.save(tensors, folder / "model.pth")
    return refused(folder / "model.pth")


def refused(source: Path) -> str:
    settings = config.AST(
        family="ast", source=str(source), position_embeddings="interpolate", pooling="all"
    )
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError) as error:
        build_encoder(settings, 96)
    assert "\n" not in str(error.value) and str(source) in str(error.value)
    assert time.process_time() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes
    return str(error.value).removeprefix(f"{source}: ")


@pytest.mark.parametrize("layout", MAKE)
def test_the_checkpoints_here_are_read_as_they_are(layout: str, tmp_path: Path) -> None:
    with pytest.raises(BaseException, match="DID NOT RAISE"):
        refusal(tmp_path, MAKE[layout]())


ODD = (torch.tensor(1.0), torch.zeros(2, 0, 5, 7, 1))


@pytest.mark.parametrize("layout", MAKE)
def test_any_tensor_of_an_odd_shape_is_refused(layout: str, tmp_path: Path) -> None:
    whole = MAKE[layout]()
    layer = [name for name in whole if layout == "EAT" and "blocks.0" in name]
    for name in whole:
        if not name.startswith("p_input") and ("blocks" not in name or name in layer):
            for tensor in ODD:
                refusal(tmp_path, whole | {name: tensor})


@pytest.mark.parametrize("layout", MAKE)
def test_any_missing_tensor_is_named(layout: str, tmp_path: Path) -> None:
    whole = MAKE[layout]()
    for name in whole:
        if not name.startswith("p_input") and "blocks.1" not in name and "dist" not in name:
            told = refusal(tmp_path, {other: t for other, t in whole.items() if other != name})
            assert "missing" in told or "do not say" in told or "unexpected" in told


def test_another_width_is_refused_with_both_shapes(tmp_path: Path) -> None:
    wide = timm() | {"blocks.0.mlp.fc2.weight": torch.zeros(32, 60)}
    told = refusal(tmp_path, wide)
    assert told.endswith("encoder.layer.0.output.dense.weight is (32, 60), not (32, 64)")
    assert "are (1, 50, 32), not 1 and a multiple of 8 patches of 16 x 16" in refusal(
        tmp_path, timm() | {"pos_embed": torch.zeros(1, 50, 32)}
    )
    frame = {"v.patch_embed.proj.weight": torch.zeros(32, 1, 128, 2)}
    assert refusal(tmp_path, ssast() | frame).startswith("its patches are 128 x 2, and petl reads")


@pytest.mark.parametrize("size", [10**15, -5, 0, float("nan"), float("inf"), 1e300])
def test_a_size_that_the_weights_do_not_have_allocates_nothing(size: float, tmp_path: Path) -> None:
    for name in ("p_input_fdim", "p_input_tdim"):
        refusal(tmp_path, ssast() | {name: torch.tensor(size)})


@pytest.mark.parametrize(
    "said",
    [
        {"model_args": {"img_size": [128, 1024]}},
        {"model_args": {"num_heads": -4}},
        {"model_args": {"num_heads": "4"}},
        {"model_args": {"num_heads": 5}},
        {"model_args": 3},
    ],
)
def test_an_odd_config_of_timm_is_refused(said: dict[str, Any], tmp_path: Path) -> None:
    refusal(tmp_path, timm(), said)


@pytest.mark.parametrize("size", [[10**12, 128], [0, 128], [-16, 128], 3, [], ["x"], None])
def test_an_odd_size_of_eat_is_refused_or_not_used(size: Any, tmp_path: Path) -> None:
    if isinstance(size, list) and size and type(size[0]) is int and size[0] < 16:
        refusal(tmp_path, eat_file(), {"num_heads": 4, "img_size": size})
    else:
        with pytest.raises(BaseException, match="DID NOT RAISE"):
            refusal(tmp_path, eat_file(), {"num_heads": 4, "img_size": size})


def test_tensors_of_two_layouts_are_refused(tmp_path: Path) -> None:
    for first in MAKE:
        for second in MAKE:
            if first != second:
                told = refusal(tmp_path, MAKE[first]() | MAKE[second]())
                assert told.startswith("tensors of two layouts, such as ")
    inside = {"encoder.layer.0.output.dense.bias": torch.zeros(3)}
    told = refusal(tmp_path, inside | {"encoder.encoder.layer.1.output.dense.bias": torch.zeros(3)})
    assert told.startswith("tensors of two layouts, such as encoder.layer.0.output.dense.bias and")


def test_a_file_with_code_in_it_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    assert "only tensors are read" in refusal(tmp_path, timm() | {"args": Touch(mark)})
    assert not mark.exists()
    assert "other than named tensors" in refusal(tmp_path, {"model": timm(), "epoch": 3})


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.pth")
    assert "neither a folder nor a file of weights" in refused(tmp_path / "model.pth")
    assert "neither a folder nor a file of weights" in refused(tmp_path / "nothing.safetensors")
    (tmp_path / "model.pth").unlink()
    for name in ("one.pth", "two.bin"):
        torch.save(timm(), tmp_path / name)
    assert refused(tmp_path).startswith("has several files of weights (one.pth, two.bin)")

"""Both recipes for music emotion on a few made-up songs, and where their inputs are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTModel

from petl.config import Task
from petl.config.options import Options
from petl.config.study import expand
from petl.data.load import TaskData
from petl.data.splits import Split
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train import batches
from petl.train.batches import Batches
from petl.train.run import run_task

TINY_AST = Path(__file__).parent.parent / "golden" / "ast_tiny"


@pytest.fixture(scope="module")
def songs(tmp_path_factory) -> Places:
    from petl.data.synthetic import deam

    root = tmp_path_factory.mktemp("songs")
    deam.make_corpus(root / "data" / deam.NAME, {2013: 6, 2014: 6}, 2.2, 0)
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    vit = ViTModel(ViTConfig(**size, intermediate_size=64), add_pooling_layer=False)
    vit.save_pretrained(root / "vit")
    return Places(root / "runs", root / "data", root / "cache")


def recipe(family: str, profile: str, source: Path) -> Task:
    """As it is, but with a tiny backbone, two epochs and windows of a second.

    The AST hears two windows of each song as intended, and one as run, where it is slow.
    """
    several = (family, profile) == ("ast", "as-intended")
    windows = {"length": 1.0, "take": "all" if several else "middle"}
    study = {
        "profile": profile,
        "matrix": {
            **{"dataset": f"deam-{family}", "backbone": "tiny", "method": "full"},
            **{"fold": 0, "seed": 42},
        },
        "backbones": {"tiny": {"like": family, "backbone": {"source": str(source)}}},
        "set": {
            "dataset": {"corpus": "made-up-deam", "folds": 3, "windows": windows},
            "train": {"epochs": 2, "warm_up": 0.5, "lr": 3e-5},
        },
    }
    return expand(study, "study")[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "profile"), [("ast", "as-intended"), ("ast", "as-run"), ("vit", "as-intended")]
)
def test_both_recipes_train_and_report_songs(songs: Places, family: str, profile: str) -> None:
    task = recipe(family, profile, TINY_AST if family == "ast" else songs.data.parent / "vit")
    result = run_task(task, songs, Options(threads=1))
    best = result["metrics"]["test_best"]
    assert best["ccc"] == pytest.approx((best["ccc_valence"] + best["ccc_arousal"]) / 2)
    assert best["unscaled_mae"] == pytest.approx(4 * best["mae"])
    assert result["floors"]["constant"]["ccc"] == 0
    several = (family, profile) == ("ast", "as-intended")
    for scores in (best, result["floors"]["ridge"]):
        assert {"ccc", "rmse"} <= scores.keys() and ("window_ccc" in scores) == several
    rows = RunDir.of(task, songs.runs).metrics()
    assert len(rows) == 2 and all(np.isfinite(row["train_loss"]) for row in rows)


@pytest.fixture
def mapped(tmp_path: Path) -> tuple[TaskData, Task]:
    inputs = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (50, 8, 128))
    inputs[:] = np.arange(50)[:, None, None]
    parts = Split(np.arange(40), np.arange(40, 45), np.arange(45, 50))
    data = TaskData(inputs, np.zeros((50, 2), np.float32), parts, (), None)
    return data, recipe("ast", "as-intended", TINY_AST)


def test_of_inputs_in_a_memory_map_only_a_batch_is_loaded(mapped) -> None:
    data, task = mapped
    made = Batches(data, task, torch.device("cpu"))
    assert made.clips.inputs is None and isinstance(made.data.inputs, np.memmap)
    sizes = []
    for x, _ in made.of(data.split.train):
        sizes.append(len(x))
        assert x._base is None  # a copy of its own, not a part of all inputs
    assert sizes == [32, 8]


@pytest.mark.parametrize(("free", "kept"), [(2.4, False), (2.6, True)])
def test_a_gpu_holds_all_inputs_only_with_room_to_spare(mapped, monkeypatch, free, kept) -> None:
    """At most 0.4 of its free memory; otherwise batches go there one by one."""
    data, _ = mapped
    room = int(free * data.inputs.nbytes)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (room, 10 * room))
    assert batches._fits(data.inputs, torch.device("cuda")) == kept

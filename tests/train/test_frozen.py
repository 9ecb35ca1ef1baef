"""What no epoch changes is computed once for each clip: the numbers stay the same."""

from __future__ import annotations

import json
import shutil
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

from petl import config
from petl.config.options import Options
from petl.data.features import Recipe
from petl.data.load import TaskData, load
from petl.errors import UserError
from petl.model.build import Model, Reads, build_model
from petl.model.frozen import digest, frozen_up_to, output
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train import frozen
from petl.train.frozen import compute_once
from petl.train.run import Interrupted, run_task

ONE = Options(threads=1)
WAVES = {"family": "wav2vec2", "dropout": "none"}
ADAPTER = {"family": "adapter", "placement": "pfeiffer", "composition": "parallel"}
ADAPTER |= {"residual": False, "layers": [1]}
ADAPTER["block"] = {"kind": "conformer", "reduction": 8, "kernel": 8, "layer_norm": "applied"}
ADAPTER["block"]["init"] = "default"


@pytest.fixture
def fresh(places, tmp_path) -> Places:
    """Data and features shared, runs and what is computed once this test's own."""
    own = Places(tmp_path / "runs", places.data, tmp_path / "cache")
    own.cache.mkdir()
    (places.cache / "features").mkdir(parents=True, exist_ok=True)
    (own.cache / "features").symlink_to(places.cache / "features")
    return own


@pytest.fixture
def probe(tasks, golden):
    """A task without SpecAugment, with these settings over its own."""

    def make(method: dict[str, Any] | None = None, fold: int = 0, **parts: Any) -> config.Task:
        chosen = next(t for t in tasks if (t.names.method, t.fold) == ("linear", fold))
        task = json.loads(json.dumps(chosen.to_json()))
        task["dataset"]["spec_augment"] = None
        task["train"]["frozen"] = "cached"
        task["method"] = method or task["method"]
        if parts.get("backbone", {}).get("family") == "wav2vec2":
            task["backbone"] = {"source": str(golden / "wav2vec2_tiny")}
        for part, settings in parts.items():
            task[part] = {**task[part], **settings}
        return config.Task.model_validate_json(json.dumps(task))

    return make


def recomputed(task: config.Task) -> config.Task:
    return task.model_copy(update={"train": task.train.model_copy(update={"frozen": "recompute"})})


def files(places: Places) -> list[str]:
    return sorted(path.name for path in (places.cache / "frozen").glob("*"))


LAST = {"family": "full", "layers": 1}
ATTENTIVE = {"pooling": "attentive"}
CASES: dict[str, tuple[dict[str, Any], Reads]] = {
    "linear": ({}, "mean"),
    "head": ({"method": {"family": "head"}}, "mean"),
    "cls": ({"backbone": {"pooling": "cls"}}, "mean"),
    "cls+dist": ({"backbone": {"pooling": "cls+dist"}}, "mean"),
    "speech": ({"backbone": {"pooling": "speech"}}, "mean"),
    "norm twice": ({"head": {"norm": "twice"}, "method": {"family": "head"}}, "mean"),
    "norm twice, trained": ({"head": {"norm": "twice"}}, 2),
    "attentive": ({"head": ATTENTIVE}, 2),
    "last layer": ({"method": LAST}, 1),
    "adapter above": ({"method": ADAPTER}, 1),
    "wav2vec 2.0": ({"backbone": WAVES}, "mean"),
    "wav2vec 2.0, attentive": ({"backbone": WAVES, "head": ATTENTIVE}, 4),
    "wav2vec 2.0, all layers": ({"backbone": WAVES, "method": {"family": "ia3"}}, 0),
}


def model_of(task: config.Task) -> Model:
    torch.manual_seed(0)
    return build_model(task)


@pytest.mark.parametrize("case", CASES)
def test_the_outputs_are_those_of_the_whole_model(case: str, probe) -> None:
    settings, expected = CASES[case]
    task = probe(**settings)
    model = model_of(task).eval()
    for parameter in (*model.backbone.norm.parameters(), *model.head.parameters()):
        torch.nn.init.normal_(parameter)
    x = torch.randn(3, *Recipe.of(task.dataset, task.backbone.form).shape)
    with torch.no_grad():
        whole, reads = model(x), frozen_up_to(model)
        model.reads = reads
        torch.testing.assert_close(model(output(model, x, reads)), whole, atol=1e-5, rtol=1e-5)
    assert reads == expected


OTHERS = ("cls+dist", "norm twice, trained", "attentive", "adapter above", "wav2vec 2.0, attentive")
SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in OTHERS]


@pytest.mark.parametrize("case", ["linear", *SLOW])
def test_metrics_are_those_without_the_cache(case: str, probe, fresh) -> None:
    task = probe(**CASES[case][0])
    plain, cached = run_task(recomputed(task), fresh, ONE), run_task(task, fresh, ONE)
    assert cached["frozen_cache"].startswith("the ")
    assert len(files(fresh)) == 1
    for name, scores in plain["metrics"].items():
        assert cached["metrics"][name] == pytest.approx(scores, abs=1e-6)
    ours, theirs = (RunDir.of(t, fresh.runs).metrics() for t in (task, recomputed(task)))
    for row, other in zip(ours, theirs, strict=True):
        for name in row.keys() - {"seconds"}:
            assert row[name] == pytest.approx(other[name], abs=1e-6), name
    assert (
        "train.frozen: 25 of 50 clips computed" in RunDir.of(task, fresh.runs).log_file.read_text()
    )
    assert "frozen_cache" not in plain
    assert cached["params"] == plain["params"]


def computed(task: config.Task, places: Places) -> tuple[TaskData, str]:
    return compute_once(model_of(task), load(task, places), task, places.cache, print)


MASKS = {"frequency": 8, "time": 8, "mask": "after-normalisation"}
OFF: dict[str, tuple[dict[str, Any], str]] = {
    "SpecAugment": ({"dataset": {"spec_augment": MASKS}}, "dataset.spec_augment masks"),
    "mixup": ({"train": {"mixup": {"share": 0.5, "alpha": 0.3}}}, "train.mixup mixes"),
    "full": ({"method": {"family": "full"}}, "the method trains from the embeddings on"),
    "first layer": ({"method": {"family": "ia3"}}, "the method trains from the first layer on"),
}


@pytest.mark.parametrize("case", OFF)
def test_it_is_off_where_inputs_differ_or_nothing_is_saved(case: str, probe, fresh) -> None:
    settings, says = OFF[case]
    data, line = computed(probe(**settings), fresh)
    assert line.startswith(f"off: {says}")
    assert data.inputs.shape[1:] == (100, 128)
    assert files(fresh) == []


def test_dropout_in_a_frozen_part_turns_it_off(probe, golden, tmp_path) -> None:
    shutil.copytree(golden / "wav2vec2_tiny", tmp_path / "drops")
    file = tmp_path / "drops" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden_dropout": 0.1}))
    backbone = WAVES | {"source": str(file.parent)}
    reads = [
        frozen_up_to(model_of(probe(backbone=backbone | {"dropout": dropout})))
        for dropout in ("checkpoint", "none")
    ]
    assert reads == ["clips", "mean"]


def test_a_run_says_in_log_and_result_that_it_is_off(probe, fresh) -> None:
    task = probe(dataset={"spec_augment": MASKS}, train={"epochs": 1})
    line = run_task(task, fresh, ONE)["frozen_cache"]
    assert line == "off: dataset.spec_augment masks other parts in each epoch"
    assert f"train.frozen: {line}" in RunDir.of(task, fresh.runs).log_file.read_text()


def test_folds_seeds_and_methods_with_the_same_frozen_part_share_a_file(probe, fresh) -> None:
    def key(task: config.Task) -> str:
        model = model_of(task)
        return frozen._key(model, load(task, fresh), task, frozen_up_to(model))

    shared = [probe(), probe(fold=1), probe({"family": "head"}), probe(train={"batch_size": 3})]
    assert len(set(map(key, shared))) == 1
    others = [
        probe(backbone={"pooling": "cls"}),
        probe(head={"norm": "twice"}),
        probe(dataset={"statistics": {"mean": 0.0, "std": 1.0}}),
        probe(train={"precision": "bf16"}),
    ]
    assert len({key(task) for task in (probe(), *others)}) == 1 + len(others)


def test_other_weights_are_another_file(probe, fresh) -> None:
    task = probe()
    model = model_of(task)
    keys = [digest(model, "mean")]
    with torch.no_grad():
        model.backbone.norm.weight.add_(1)  # acts after the mean
        keys.append(digest(model, "mean"))
        model.backbone.layers[1].ffn.down.bias[0] += 1e-6
        keys.append(digest(model, "mean"))
    assert keys[0] == keys[1] != keys[2]


def test_statistics_of_the_training_split_are_not_shared_and_it_says_so(probe, fresh) -> None:
    tasks = [probe(fold=fold, dataset={"statistics": "training-split"}) for fold in (0, 1)]
    found = [computed(task, fresh) for task in tasks]
    assert found[0][0].key != found[1][0].key
    assert all("for this fold alone" in line for _, line in found)


def test_a_damaged_file_is_computed_again(probe, fresh, caplog) -> None:
    whole = np.array(computed(probe(), fresh)[0].inputs)
    file = fresh.cache / "frozen" / files(fresh)[0]
    before = file.read_bytes()
    file.write_bytes(before[:300] + b"x" + before[301:])
    np.testing.assert_array_equal(computed(probe(), fresh)[0].inputs, whole)
    assert file.read_bytes() == before
    assert "is damaged and will be computed again" in caplog.text


def test_whoever_comes_second_waits_and_computes_nothing(probe, fresh, monkeypatch) -> None:
    task = probe(head=ATTENTIVE)
    data, started, calls = load(task, fresh), threading.Event(), []
    compute = frozen.output

    def slow(*given: Any) -> torch.Tensor:
        calls.append(threading.get_ident())
        started.set()
        time.sleep(0.02)
        return compute(*given)

    monkeypatch.setattr(frozen, "output", slow)
    found = []

    def one() -> None:
        found.append(compute_once(model_of(task), data, task, fresh.cache, lambda *_: None)[0])

    first, second = threading.Thread(target=one), threading.Thread(target=one)
    first.start()
    assert started.wait(10)
    second.start()
    first.join(20)
    second.join(20)
    assert found[0].key == found[1].key
    pieces = -(-len(data.inputs) // frozen.AT_ONCE["cpu"])
    assert len(calls) == pieces + 2  # each looks once at the shape


def test_too_large_a_file_is_not_written_and_it_says_why(probe, fresh, monkeypatch) -> None:
    monkeypatch.setenv("PETL_FROZEN_GB", "0.00001")
    data, line = computed(probe(head=ATTENTIVE), fresh)
    assert "MB more would be over PETL_FROZEN_GB=1e-05" in line
    assert data.inputs.shape[1:] == (100, 128)
    assert files(fresh) == []
    computed(probe(), fresh)
    assert len(files(fresh)) == 1
    monkeypatch.setenv("PETL_FROZEN_GB", "much")
    with pytest.raises(UserError, match="should be a number of gigabytes, not 'much'"):
        computed(probe(backbone={"pooling": "cls"}), fresh)


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_same_bits(probe, fresh, tmp_path) -> None:
    task = probe(head=ATTENTIVE)
    steps = iter(range(100))
    with pytest.raises(Interrupted):
        run_task(task, fresh, ONE, stop=lambda: next(steps) == 5)
    (file,) = (fresh.cache / "frozen").glob("*.npy")
    file.unlink()
    stopped = run_task(task, fresh, ONE)
    whole = run_task(task, Places(tmp_path / "whole", fresh.data, fresh.cache), ONE)
    assert stopped["metrics"] == whole["metrics"]

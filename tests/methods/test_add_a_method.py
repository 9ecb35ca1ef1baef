"""A method is added by one file and a preset: everything else has a default."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from petl.config import Task
from petl.config.methods import base
from petl.config.options import Options
from petl.config.schema import study_schema
from petl.config.study import expand
from petl.data.synthetic.quickstart import make_corpus
from petl.errors import UserError
from petl.model.count import count
from petl.model.describe import describe
from petl.model.draw import to_bytes
from petl.places import Places
from petl.runs.find import find_run
from petl.train.run import run_task
from petl.use.load import load_run
from petl.use.to_library import to_library

GOLDEN = Path(__file__).parent.parent / "golden"
HIDDEN, LAYERS, CLASSES = 32, 2, 10
DATASET = {"corpus": "tiny", "layout": "esc50", "classes": CLASSES, "folds": 5, "frames": 100}


@pytest.fixture(autouse=True)
def shift(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Known to this file's tests only."""
    monkeypatch.setattr(base, "FAMILIES", dict(base.FAMILIES))
    monkeypatch.delitem(sys.modules, "shift_method", raising=False)
    importlib.import_module("shift_method")
    yield
    sys.modules.pop("shift_method", None)


def task_with(method: dict[str, Any]) -> Task:
    study = {
        "description": "a new method",
        "profile": "as-run",
        "report": "test_last",
        "matrix": {"dataset": "tiny", "backbone": "tiny", "method": "mine", "fold": 0, "seed": 1},
        "backbones": {"tiny": {"backbone": {"family": "ast", "source": str(GOLDEN / "ast_tiny")}}},
        "datasets": {"tiny": {"dataset": DATASET | {"split": "paper"}}},
        "methods": {"mine": {"method": method, "train": {"lr": 1e-3}}},
        "set": {"train": {"epochs": 2, "batch_size": 8}, "dataset": {"spec_augment": None}},
        "keep_weights": True,
    }
    return expand(study, "study")[0]


def test_it_is_counted_and_drawn() -> None:
    task = task_with({"family": "shift"})
    (row,) = count([task], {"table1": {}, "counts_esc50": {}})
    final_norm = 2 * HIDDEN
    assert row.without_head == LAYERS * HIDDEN + final_norm
    model = describe(task)
    assert [layer.train for layer in model.layers] == [HIDDEN] * LAYERS
    assert model.layers[0].any(lambda box: box.name == "AddVector" and box.added)
    assert to_bytes(model, "png").startswith(b"\x89PNG")


def test_it_trains_and_its_weights_are_found_again(tmp_path: Path) -> None:
    make_corpus(tmp_path / "data" / "tiny", takes=1)
    places = Places(tmp_path / "runs", tmp_path / "data", tmp_path / "cache")
    task = task_with({"family": "shift", "layers": [1]})
    run_task(task, places, Options(threads=1))
    run = find_run(task.run_id, places.runs)
    loaded = load_run(run.path, places)
    assert loaded.task.method == task.method
    vectors = [t for name, t in loaded.model.named_parameters() if name.endswith(".vector")]
    assert len(vectors) == 1 and vectors[0].any()
    with pytest.raises(UserError, match=r"'shift' cannot be merged.*AddVector"):
        to_library(loaded)


def test_it_combines_after_what_merges_and_before_what_adds_tokens() -> None:
    prefix, shift = {"family": "prefix", "length": 4}, {"family": "shift"}
    task = task_with({"family": "combine", "methods": [prefix, shift, {"family": "bitfit"}]})
    assert [part.family for part in task.method.parts] == ["bitfit", "shift", "prefix"]
    assert Task.model_validate_json(json.dumps(task.to_json())).run_id == task.run_id


def test_mistakes_in_it_are_explained_as_in_any_other() -> None:
    for method, message in (
        (
            {"family": "shift", "brunch": "ffn"},
            "unknown key 'method.brunch'; did you mean 'branch'",
        ),
        ({"family": "shift", "branch": "fnn"}, "method.branch cannot be 'fnn'; did you mean 'ffn'"),
        ({"family": "shft"}, "method.family cannot be 'shft'; did you mean 'shift'"),
    ):
        with pytest.raises(UserError) as raised:
            task_with(method)
        assert message in str(raised.value)
    assert "Shift" in study_schema()["$defs"]


def test_a_family_has_one_method() -> None:
    sys.modules.pop("shift_method")
    with pytest.raises(TypeError, match="two methods of the family 'shift'"):
        importlib.import_module("shift_method")

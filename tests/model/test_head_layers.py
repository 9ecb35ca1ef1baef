"""Heads with hidden layers: the released stack of a music emotion recipe."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from petl import config
from petl.config.study import EXPERIMENTS, expand, load_study
from petl.errors import UserError
from petl.model.build import Model, build_model, count_parameters, trained_state
from petl.model.describe import describe
from petl.train.optim import parameter_groups

TINY = str(EXPERIMENTS.parent / "tests" / "golden" / "ast_tiny")
REGRESSION = {"layout": "table", "targets": ["valence", "arousal"], "folds": 1, "split": "k-fold"}


def task(dataset: dict | None = None, **head: object) -> config.Task:
    table = {"table": {"file": "clips.csv", "path": "file"}, "corpus": "moods"}
    shown = REGRESSION | table if dataset is None else dataset
    study = {
        "matrix": {
            "dataset": "moods",
            "backbone": "tiny",
            "method": "linear",
            "fold": 0,
            "seed": 0,
        },
        "backbones": {"tiny": {"backbone": {"family": "ast", "source": TINY}}},
        "datasets": {
            "moods": {
                "dataset": {**shown, "frames": 100, "spec_augment": None},
                "train": {"epochs": 2, "batch_size": 4},
            }
        },
        "set": {"head": head, "train": {"head_lr": 3e-4}},
    }
    return expand(study, "study")[0]


MATRIX = {"dataset": "deam-ast", "backbone": "ast", "method": "full", "fold": 0, "seed": 42}
OUTPUTS = ("linear", "sigmoid")
STACK = {"layers": [512, 256, 64], "dropout": 0.3}


def model(one: config.Task) -> Model:
    torch.manual_seed(0)
    return build_model(one)


def test_the_released_stack_has_its_layers_in_its_order() -> None:
    head = model(task(**STACK)).head
    hidden = head[0].normalized_shape[0]
    widths = [(m.in_features, m.out_features) for m in head if isinstance(m, nn.Linear)]
    assert widths == [(hidden, 512), (512, 256), (256, 64), (64, 2)]
    kinds = [type(m) for m in head]
    one = [nn.Linear, nn.GELU, nn.Dropout]
    assert kinds == [nn.LayerNorm, *one, *one, *one, nn.Linear]
    assert {m.p for m in head if isinstance(m, nn.Dropout)} == {0.3}


def test_the_recipe_ends_with_a_sigmoid_as_run_and_without_one_as_intended() -> None:
    tasks = load_study("deam").tasks
    assert {task.head.output for task in tasks} == {"linear"}
    assert {task.dataset.frames for task in tasks} == {501}
    study = {"profile": "as-run", "matrix": MATRIX}
    run = expand(study, "study")[0]
    assert (run.head.output, run.dataset.frames) == ("sigmoid", 1024)
    assert run.dataset.front_end.stretch and run.head.layers == (512, 256, 64)


def test_a_sigmoid_is_the_last_step() -> None:
    linear, sigmoid = (model(task(output=output, **STACK)).head.eval() for output in OUTPUTS)
    pooled = torch.randn(3, linear[1].in_features)
    torch.testing.assert_close(sigmoid(pooled), linear(pooled).sigmoid())


def test_a_plain_head_is_the_one_that_it_always_was() -> None:
    assert task().run_id == task(layers=[], dropout=0.0, output="linear").run_id
    assert type(model(task()).head) is nn.Linear
    ids = {task(**head).run_id for head in ({}, STACK, {"dropout": 0.1}, {"layers": [8]})}
    assert len(ids) == 4


def test_dropout_without_hidden_layers_is_before_the_linear_map() -> None:
    head = model(task(dropout=0.9)).head
    pooled = torch.ones(4, head[-1].in_features)
    torch.testing.assert_close(head.eval()(pooled), head[-1](pooled))
    assert not torch.equal(head.train()(pooled), head.train()(pooled))


def test_the_whole_stack_trains_at_the_heads_rate_and_is_kept_and_drawn() -> None:
    one = task(**STACK)
    made = model(one)
    *_, last = parameter_groups(made, one.train)
    of_head = sum(p.numel() for p in made.head.parameters())
    at_rate = [g for g in parameter_groups(made, one.train) if g.get("lr") == 3e-4]
    assert last["lr"] == 3e-4
    assert sum(p.numel() for group in at_rate for p in group["params"]) == of_head
    assert {f"head.{name}" for name in made.head.state_dict()} <= trained_state(made).keys()
    counts = count_parameters(made)
    assert counts["trainable"] - counts["trainable_without_head"] == of_head
    assert describe(one).head.train == of_head


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ({"output": "sigmoid"}, "'sigmoid' is for the targets of a regression"),
        ({"layers": [0]}, "greater than or equal to 1"),
        ({"dropout": 1.0}, "less than 1"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(head: dict, complaint: str) -> None:
    sounds = {"corpus": "esc50", "layout": "esc50", "classes": 50, "folds": 5, "split": "paper"}
    with pytest.raises(UserError, match=complaint):
        task(dataset=sounds, **head)

"""The settings of the head change the model as they say."""

import pytest
import torch

from petl import config
from petl.config.study import expand
from petl.errors import UserError
from petl.model.build import Model, build_model, count_parameters, trained_state
from petl.model.describe import describe
from petl.train.optim import parameter_groups

GOLDEN = config.study.EXPERIMENTS.parent / "tests" / "golden"


def task(method: str = "last-1", **head: object) -> config.Task:
    study = {
        "matrix": {"dataset": "sounds", "backbone": "tiny", "method": method, "fold": 0, "seed": 0},
        "backbones": {"tiny": {"backbone": {"family": "ast", "source": str(GOLDEN / "ast_tiny")}}},
        "datasets": {
            "sounds": {
                "like": "esc50",
                "dataset": {"classes": 5, "frames": 100, "spec_augment": None},
            }
        },
        "methods": {"last-1": {"like": "last-3", "method": {"layers": 1}}},
        "set": {"head": head},
    }
    return expand(study, "study")[0]


def model(**head: object) -> Model:
    torch.manual_seed(0)
    return build_model(task(**head)).eval()


def test_the_default_of_each_setting_keeps_the_run_id() -> None:
    assert task().run_id == task(norm="once", trained=True).run_id
    assert len({one.run_id for one in (task(), task(norm="twice"), task(trained=False))}) == 3


def test_a_grid_of_head_settings_names_its_rows() -> None:
    study = {
        "matrix": {
            **{"dataset": "esc50", "backbone": "ast", "method": "full", "fold": 0, "seed": 0},
            "head.norm": ["once", "twice"],
        }
    }
    names = [one.names.method for one in expand(study, "study")]
    assert names == ["full-norm=once", "full-norm=twice"]


@torch.no_grad()
def test_the_final_norm_is_applied_twice() -> None:
    once, twice = model(), model(norm="twice")
    torch.nn.init.normal_(once.backbone.norm.weight)
    twice.load_state_dict(once.state_dict())
    x = torch.randn(2, 100, 128)
    tokens = once.backbone.norm(once.backbone(x))
    torch.testing.assert_close(twice(x), once.head(tokens.mean(dim=1)))
    assert not torch.allclose(twice(x), once(x))


def test_a_head_that_does_not_train_is_frozen_and_kept_with_the_weights() -> None:
    trained, frozen = model(), model(trained=False)
    head = sum(p.numel() for p in trained.head.parameters())
    counts = [count_parameters(one)["trainable"] for one in (trained, frozen)]
    assert counts[0] - counts[1] == head
    assert not any(p.requires_grad for p in frozen.head.parameters())
    assert trained_state(frozen).keys() == trained_state(trained).keys()


@torch.no_grad()
def test_attentive_pooling_is_a_mean_weighted_by_one_query() -> None:
    plain, one = model(), model(pooling="attentive")
    x = torch.randn(2, 100, 128)
    torch.testing.assert_close(one(x), plain(x))  # at its start
    query = torch.nn.init.normal_(one.attentive.query)
    h = one.backbone(x)
    weights = torch.softmax((h * query).sum(-1) / 32**0.5, dim=1)
    torch.testing.assert_close(one(x), one.head((weights[:, :, None] * h).sum(dim=1)))
    assert not torch.allclose(one(x), plain(x))


def test_the_query_counts_as_the_head_and_trains_while_only_the_head_does() -> None:
    one, plain = model(method="head", pooling="attentive"), model(method="head")
    counts = count_parameters(one)
    assert counts["trainable"] - count_parameters(plain)["trainable"] == 32
    assert counts["trainable_without_head"] == 0
    assert "attentive.query" in trained_state(one)
    one.head_only = True
    one(torch.randn(2, 100, 128)).sum().backward()
    assert one.attentive.query.grad.abs().max() > 0
    groups = parameter_groups(one, task().train.model_copy(update={"head_lr": 0.5}))
    assert {id(p) for group in groups if group.get("lr") == 0.5 for p in group["params"]} == {
        id(p) for p in (one.attentive.query, *one.head.parameters())
    }


def test_a_drawing_shows_the_query_and_the_second_norm() -> None:
    assert describe(task(norm="twice")).norm.name == "LayerNorm, twice"
    head = describe(task(pooling="attentive")).head
    assert [(part.name, part.trained) for part in head.parts] == [
        ("Attentive pooling", 32),
        ("Head", 5 * 33),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"set": {"head": {"trained": False}}}, "trains nothing else"),
        (
            {"set": {"head": {"norm": "twice"}, "backbone": {"pooling": "cls+dist"}}},
            "has a second LayerNorm of its own",
        ),
        (
            {"set": {"head": {"trained": False}, "train": {"head_lr": 1e-3}}, "method": "full"},
            "train.head_lr is for a head that trains",
        ),
        (
            {"set": {"head": {"pooling": "attentive"}, "backbone": {"pooling": "cls"}}},
            "'cls' leaves them out: choose 'all' or 'speech'",
        ),
        (
            {"set": {"head": {"pooling": "attentive", "trained": False}}, "method": "full"},
            "head.pooling 'attentive' is for a head that trains",
        ),
        (
            {"set": {"head": {"norm": "twice"}}, "backbone": "wav2vec2", "method": "full"},
            "wav2vec 2.0 ends without a LayerNorm",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message) -> None:
    matrix = {"dataset": "speech-commands", "backbone": "ast", "method": "head"}
    matrix |= {key: settings[key] for key in matrix if key in settings}
    study = {"matrix": matrix | {"fold": 0, "seed": 0}, "set": settings["set"]}
    with pytest.raises(UserError, match=message):
        expand(study, "study")

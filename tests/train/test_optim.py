"""The optimiser's groups, the schedule and its steps, as the ledger and the options say."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from petl import config
from petl.errors import UserError
from petl.train.optim import (
    clip,
    cosine,
    optimiser,
    parameter_groups,
    schedule,
    steps_by_epoch,
    warm_up_steps,
)


def settings(decay: str = "everything", **more) -> config.Train:
    said = {"epochs": 1, "batch_size": 1, "lr": 0.1, "betas": [0.9, 0.98], "eps": 1e-6}
    return config.Train(**(said | {"weight_decay": 0.1, "decay": decay} | more))


@pytest.fixture
def model():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[1].requires_grad_(False)
    return model


class WithHead(nn.Module):
    def __init__(self, trains: bool = True):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)).requires_grad_(trains)
        self.head = nn.Linear(4, 2)


def rates(adamw, curve, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(adamw.param_groups[0]["lr"])
        adamw.step()
        curve.step()
    return found


# --- groups ---------------------------------------------------------------------------------------


def test_as_run_decays_everything_that_trains(model):
    (group,) = parameter_groups(model, settings("everything"))
    assert group["weight_decay"] == 0.1
    trainable = [p for p in model.parameters() if p.requires_grad]
    assert [id(p) for p in group["params"]] == [id(p) for p in trainable]


def test_as_intended_does_not_decay_gains_and_biases(model):
    decayed, spared = parameter_groups(model, settings("weights"))
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert spared["weight_decay"] == 0
    assert all(p.ndim == 1 for p in spared["params"])


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("everything", [(4, 0.1, 0.1), (2, 1.0, 0.1)]),
        ("weights", [(1, 0.1, 0.1), (3, 0.1, 0.0), (1, 1.0, 0.1), (1, 1.0, 0.0)]),
    ],
)
def test_the_head_can_have_its_own_learning_rate(decay, expected):
    model = WithHead()
    adamw = optimiser(model, settings(decay, head_lr=1.0))
    groups = [(len(g["params"]), g["lr"], g["weight_decay"]) for g in adamw.param_groups]
    assert groups == expected
    in_groups = [id(p) for g in adamw.param_groups for p in g["params"]]
    assert sorted(in_groups) == sorted(map(id, model.parameters()))


def test_if_only_the_head_trains_its_learning_rate_is_the_only_one():
    adamw = optimiser(WithHead(trains=False), settings("weights", head_lr=1.0))
    assert [group["lr"] for group in adamw.param_groups] == [1.0, 1.0]


def test_both_learning_rates_follow_one_curve():
    adamw = optimiser(WithHead(), settings(head_lr=1.0))
    curve = cosine(adamw, 20, warm_up=5)
    for _ in range(20):
        body, head = (group["lr"] for group in adamw.param_groups)
        assert head == pytest.approx(10 * body)
        adamw.step()
        curve.step()


# --- schedule -------------------------------------------------------------------------------------


def test_the_cosine_equals_torch_cosine_annealing_and_ends_at_zero(model):
    ours, theirs = (optimiser(model, settings("everything")) for _ in range(2))
    ours_schedule = cosine(ours, 10)
    theirs_schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 10)
    for _ in range(10):
        for adamw, curve in ((ours, ours_schedule), (theirs, theirs_schedule)):
            adamw.step()
            curve.step()
        rates = ours.param_groups[0]["lr"], theirs.param_groups[0]["lr"]
        assert math.isclose(*rates, rel_tol=1e-6, abs_tol=1e-12)
    assert ours.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_warm_up_rises_to_the_cosine(model):
    adamw = optimiser(model, settings("everything"))
    found = rates(adamw, cosine(adamw, 100, warm_up=10), 11)
    assert found[:10] == sorted(found[:10])
    assert found[0] == pytest.approx(0.01)
    assert found[10] == pytest.approx(0.1 * 0.5 * (1 + math.cos(0.1 * math.pi)))


def test_a_restored_schedule_continues_unchanged(model):
    train = settings(epochs=4, batch_size=8, warm_up=1.5)
    undisturbed = optimiser(model, train)
    expected = rates(undisturbed, schedule(undisturbed, train, 50), 28)
    first = optimiser(model, train)
    curve = schedule(first, train, 50)
    assert rates(first, curve, 9) == expected[:9]
    again = optimiser(model, train)
    resumed = schedule(again, train, 50)
    again.load_state_dict(first.state_dict())
    resumed.load_state_dict(curve.state_dict())
    assert rates(again, resumed, 19) == expected[9:]


def test_steps_follow_the_batch_size_of_their_epoch_and_no_clip_is_dropped():
    later = [{"epoch": 2, "batch_size": 20}, {"epoch": 4, "batch_size": 200}]
    train = settings(epochs=5, batch_size=10, later_batches=later)
    assert steps_by_epoch(train, 101) == [11, 6, 6, 1, 1]
    assert steps_by_epoch(settings(epochs=5, batch_size=10), 100) == [10] * 5


@pytest.mark.parametrize(
    ("warm_up", "steps"), [(0, 0), (0.5, 6), (1, 11), (1.5, 14), (2.5, 20), (4.9, 25)]
)
def test_warm_up_counts_the_steps_of_its_own_epochs(warm_up, steps):
    train = settings(epochs=5, batch_size=10, warm_up=float(warm_up))
    assert warm_up_steps(train, [11, 6, 6, 1, 1]) == steps


def test_warm_up_in_steps_is_the_librarys_cosine(model):
    train = settings(epochs=4, batch_size=8, warm_up_steps=3)
    ours, theirs = (optimiser(model, train) for _ in range(2))
    expected = rates(theirs, get_cosine_schedule_with_warmup(theirs, 3, 28), 28)
    assert rates(ours, schedule(ours, train, 50), 28) == pytest.approx(expected, rel=1e-12)
    assert expected[:4] == pytest.approx([0, 0.1 / 3, 0.2 / 3, 0.1])


@pytest.mark.parametrize(
    ("warm_up", "steps"), [({"warm_up_steps": 3}, 3), ({"warm_up": 0.5}, 4), ({}, 0)]
)
def test_a_linear_curve_is_the_librarys(model, warm_up, steps):
    train = settings(epochs=4, batch_size=8, curve="linear", **warm_up)
    ours, theirs = (optimiser(model, train) for _ in range(2))
    expected = rates(theirs, get_linear_schedule_with_warmup(theirs, steps, 28), 28)
    assert rates(ours, schedule(ours, train, 50), 28) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("curve", ["cosine", "linear"])
def test_warm_up_steps_that_never_end_are_refused(model, curve):
    train = settings(epochs=1, batch_size=8, warm_up_steps=7, curve=curve)
    with pytest.raises(UserError, match=r"warm_up_steps \(7\) must be below the run's 7 steps"):
        schedule(optimiser(model, train), train, 50)


def test_a_batch_schedule_that_is_ignored_changes_no_step():
    later = [{"epoch": 2, "batch_size": 20}]
    obeyed = settings(epochs=3, batch_size=10, later_batches=later)
    ignored = settings(epochs=3, batch_size=10, later_batches=later, batch_schedule="ignored")
    assert steps_by_epoch(obeyed, 100) == [10, 5, 5]
    assert steps_by_epoch(ignored, 100) == [10, 10, 10]


# --- clipping -------------------------------------------------------------------------------------


def with_gradients(*gradients: torch.Tensor) -> list[torch.Tensor]:
    return [SimpleNamespace(grad=gradient.clone()) for gradient in gradients]


def test_clipping_scales_all_gradients_together():
    before = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    parameters = with_gradients(*before)
    assert clip(parameters, 1.0).item() == pytest.approx(5)
    for parameter, gradient in zip(parameters, before, strict=True):
        torch.testing.assert_close(parameter.grad, gradient / 5)


def test_clipping_does_not_change_smaller_gradients():
    before = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    (parameter,) = with_gradients(before)
    assert clip([parameter], 1e3).item() == pytest.approx(before.norm().item())
    assert torch.equal(parameter.grad, before)


def test_clipping_ignores_parameters_without_a_gradient():
    (parameter,) = with_gradients(torch.tensor([2.0]))
    assert clip([SimpleNamespace(grad=None), parameter], 1.0).item() == 2


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_a_gradient_that_is_not_finite_is_reported(bad):
    assert not clip(with_gradients(torch.tensor([1.0, bad])), 1.0).isfinite()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_host_does_not_wait_for_a_clipped_step_on_the_gpu():
    parameters = [torch.ones(10, device="cuda", requires_grad=True) for _ in range(3)]
    sum(p.sum() for p in parameters).backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        clip(parameters, 1.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")

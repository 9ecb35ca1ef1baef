"""The optimiser's groups and the schedule, as the ledger says."""

import math

import pytest
import torch
from torch import nn

from petl import config
from petl.train.optim import cosine, optimiser, parameter_groups


def settings(decay: str) -> config.Train:
    return config.Train(
        epochs=1, batch_size=1, lr=0.1, betas=[0.9, 0.98], eps=1e-6, weight_decay=0.1, decay=decay
    )


@pytest.fixture
def model():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[1].requires_grad_(False)
    return model


def test_as_run_decays_everything_that_trains(model):
    (group,) = parameter_groups(model, settings("everything"))
    assert group["weight_decay"] == 0.1
    trainable = [p for p in model.parameters() if p.requires_grad]
    assert {id(p) for p in group["params"]} == {id(p) for p in trainable}


def test_as_intended_spares_gains_and_biases(model):
    decayed, spared = parameter_groups(model, settings("weights"))
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert spared["weight_decay"] == 0
    assert all(p.ndim == 1 for p in spared["params"])


def test_the_cosine_is_the_library_s_annealing_and_ends_at_zero(model):
    ours, theirs = (optimiser(model, settings("everything")) for _ in range(2))
    ours_schedule = cosine(ours, 10)
    theirs_schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 10)
    for _ in range(10):
        for adamw, schedule in ((ours, ours_schedule), (theirs, theirs_schedule)):
            adamw.step()
            schedule.step()
        rates = ours.param_groups[0]["lr"], theirs.param_groups[0]["lr"]
        assert math.isclose(*rates, rel_tol=1e-6, abs_tol=1e-12)
    assert ours.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_warm_up_rises_to_the_cosine(model):
    adamw = optimiser(model, settings("everything"))
    schedule = cosine(adamw, 100, warm_up=10)
    rates = []
    for _ in range(11):
        rates.append(adamw.param_groups[0]["lr"])
        adamw.step()
        schedule.step()
    assert rates[:10] == sorted(rates[:10])
    assert rates[0] == pytest.approx(0.01)
    assert rates[10] == pytest.approx(0.1 * 0.5 * (1 + math.cos(0.1 * math.pi)))

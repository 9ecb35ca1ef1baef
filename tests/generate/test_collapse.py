"""Collapse is noticed, in made-up histories and in small fits, and healthy fits are let alone."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from petl import config
from petl.generate.base import Generator, Space
from petl.generate.collapse import NORMS, Watch, diversity
from tests.generate.small import made

HEALTHY = {"right_real": 0.8, "right_synthetic": 0.7, "loss_discriminator": 0.5}
CERTAIN = {"right_real": 1.0, "right_synthetic": 1.0, "loss_discriminator": 1e-4}


def verdicts(watch: Watch, steps: int, **curves: float) -> list[str | None]:
    return [watch.step(curves) for _ in range(steps)]


def test_a_discriminator_that_stays_certain_is_a_collapse() -> None:
    watch = Watch()
    assert not any(verdicts(watch, 189, **CERTAIN))
    assert "the generator learns nothing more from it" in (verdicts(watch, 1, **CERTAIN)[0] or "")


def test_a_discriminator_that_is_certain_at_first_or_again_and_again_is_none() -> None:
    watch = Watch()
    assert not any(verdicts(watch, 150, **CERTAIN))
    assert not any(verdicts(watch, 50, **HEALTHY))
    for _ in range(50):
        assert not any(verdicts(watch, 16, **CERTAIN) + verdicts(watch, 4, **HEALTHY))


@pytest.mark.parametrize("curve, value", [("right_synthetic", 0.9), ("loss_discriminator", 0.05)])
def test_one_that_errs_or_still_has_a_loss_is_not_certain(curve: str, value: float) -> None:
    assert not any(verdicts(Watch(), 400, **{**CERTAIN, curve: value}))


def test_gradients_far_above_their_median_are_a_collapse_if_they_stay_there() -> None:
    watch, draws = Watch(), random.Random(0)
    usual = [draws.lognormvariate(0, 1) for _ in range(300)]
    assert not any(watch.step({"gradient_generator": value}) for value in usual)
    assert not any(verdicts(watch, 9, gradient_generator=1e6))
    assert not any(verdicts(watch, 1, gradient_generator=1.0))
    found = verdicts(watch, 10, gradient_generator=1e6)
    assert found[:9] == [None] * 9
    assert "gradient of the generator" in found[9] and "times as large as before" in found[9]


def test_gradients_that_grow_slowly_or_start_small_are_none() -> None:
    watch = Watch()
    assert not any(watch.step({"gradient_velocity": 1.02**step}) for step in range(1000))
    assert not any(verdicts(Watch(), 20, gradient_velocity=1e-9) + verdicts(Watch(), 500, g=1.0))


def test_gradients_of_0_have_no_multiple() -> None:
    watch = after(0)
    assert not any(verdicts(watch, 60, gradient_generator=0.0))
    assert not any(verdicts(watch, 20, gradient_generator=1.0))


def after(steps: int) -> Watch:
    watch = Watch()
    verdicts(watch, steps, gradient_generator=1.0)
    return watch


@pytest.mark.parametrize("diversity", [0.19, 11.0])
def test_samples_that_are_alike_or_far_apart_for_two_looks_are_a_collapse(diversity: float) -> None:
    watch = after(NORMS)
    assert [watch.look(value) for value in (0.0, 0.0, diversity, 0.9, diversity)] == [None] * 5
    assert f"differ {diversity:.2f} times as much as real ones" in (watch.look(diversity) or "")


def test_the_first_looks_and_those_of_the_first_steps_do_not_count() -> None:
    assert [after(NORMS).look(0.0) for _ in range(2)] == [None] * 2
    watch = after(NORMS - 1)
    assert [watch.look(0.0) for _ in range(20)] == [None] * 20


def test_it_continues_from_its_state_which_json_can_hold() -> None:
    one, other = after(230), Watch()
    verdicts(one, 150, **CERTAIN)
    verdicts(one, 8, gradient_generator=1e6)
    for value in (1.0, 1.0, 0.1):
        one.look(value)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for watch in (one, other):
        assert watch.look(0.1)
        assert [bool(v) for v in verdicts(watch, 3, gradient_generator=1e6)] == [False, True, True]
    assert one.state_dict() == other.state_dict()


def test_diversity_compares_clips_of_one_class_and_is_1_for_real_against_real() -> None:
    classes = torch.eye(3)[torch.arange(30) % 3]
    real = torch.randn(30, 20, 8) + 5 * classes[:, None, :1]
    assert diversity(real, classes, real, classes) == pytest.approx(1)
    middle = torch.stack([real[i % 3 :: 3].mean(0) for i in range(30)])
    assert diversity(middle, classes, real, classes) < 1e-6  # though the classes differ
    assert diversity(middle + 3 * (real - middle), classes, real, classes) > 2


def test_diversity_by_hand_and_for_numbers_with_the_nearest() -> None:
    clips = torch.tensor([0.0, 1.0, 5.0, 7.0])[:, None, None].expand(4, 2, 1)  # means; deviation 0
    numbers = torch.tensor([[0.0], [0.1], [0.5], [0.6]])
    by_hand = (1 + 1 + 2 + 2) / 4
    assert diversity(clips, numbers, 2 * clips, numbers) == pytest.approx(0.5)
    same = torch.zeros(4, 1)  # then all others count
    everything = (13 + 11 + 11 + 15) / 12
    assert diversity(clips, same, clips, numbers) == pytest.approx(everything / by_hand)


# --- fits

SPACE = Space(frames=16, bins=16, conditions=2, mean=0.0, deviation=1.0, low=-3.0, high=3.0)
R3GAN = config.R3GAN(kind="r3gan", width=4, latent=8)
FLOW = config.Flow(kind="flow", width=4, steps=5)


def fitted(generator: Generator, steps: int) -> tuple[int, str | None]:
    """The step at which a collapse was noticed, and the verdict; a look every 25 steps."""
    watch, draws = Watch(), torch.Generator().manual_seed(0)
    real, conditions = clips(32)
    for step in range(1, steps + 1):
        chosen = torch.randint(32, (8,), generator=draws)
        told = generator.fit(real[chosen], conditions[chosen], draws)
        verdict = watch.step({name: float(value) for name, value in told.items()})
        if verdict is None and step % 25 == 0:
            found = diversity(generator.sample(conditions, 0), conditions, real, conditions)
            verdict = watch.look(found)
        if verdict:
            return step, verdict
    return steps, None


def clips(number: int) -> tuple[Tensor, Tensor]:
    """Of two classes: bright or dark at the bottom, from a random frame on."""
    random = torch.Generator().manual_seed(3)
    label = torch.arange(number) % 2
    start = torch.randint(2, 14, (number, 1, 1), generator=random)
    loud = (torch.arange(16)[None, :, None] >= start) * (2 * label - 1)[:, None, None]
    values = loud * torch.linspace(2, 0, 16) + 0.3 * torch.randn(number, 16, 16, generator=random)
    return values, torch.eye(2)[label]


@pytest.mark.slow
@pytest.mark.parametrize("settings, train", [(R3GAN, {}), (FLOW, {"betas": (0.9, 0.999)})])
def test_a_healthy_fit_is_let_alone(settings: Any, train: Any) -> None:
    assert fitted(made(settings, SPACE, batch_size=8, **train), 250) == (250, None)


@pytest.mark.slow
def test_a_generator_that_ignores_its_noise_is_noticed() -> None:
    generator = made(R3GAN, SPACE, batch_size=8)
    weigh = generator.networks["generator"].weigh
    weigh.weight.register_hook(
        lambda gradient: torch.cat([0 * gradient[:, :8], gradient[:, 8:]], 1)
    )
    for network in (generator.networks["generator"], generator.average):
        network.weigh.weight.data[:, :8] = 0
    step, verdict = fitted(generator, 300)
    assert step < 300 and "differ 0.00 times as much" in (verdict or "")


@pytest.mark.slow
def test_a_discriminator_that_learns_100_times_as_fast_is_noticed() -> None:
    generator = made(R3GAN.model_copy(update={"gamma": 1e-3}), SPACE, batch_size=8, lr=1e-5)
    generator.optimisers["discriminator"].param_groups[0]["lr"] = 1e-3
    step, verdict = fitted(generator, 350)
    assert step < 350 and "the discriminator told real from synthetic" in (verdict or "")

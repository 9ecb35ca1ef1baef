"""The convolutional GAN, and that what was wrong with the released one cannot happen here.

Flaws 3 to 5 of the released code: real labels overwritten by the discriminator's and reshaped until
they fit, gradients of the generator's step left in the discriminator, and an output that cannot
reach the data, so that the discriminator wins and nobody notices.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from petl import config
from petl.errors import UserError
from petl.generate.base import Space
from petl.generate.build import build
from petl.generate.gan import GAN, entropy

SPACE = Space(frames=16, bins=16, conditions=2, mean=-40.0, deviation=20.0, low=-80.0, high=6.5)


def made(space: Space = SPACE, micro_batch: int | None = None, **settings: Any) -> GAN:
    torch.manual_seed(0)
    gan = build(config.GAN(kind="gan", width=4, latent=8, **settings), space)
    train = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    train |= {"epochs": 1, "batch_size": 6, "clip_norm": 1.0, "decay": "weights"}
    gan.begin(config.Train(**train, micro_batch=micro_batch))
    assert isinstance(gan, GAN)
    return gan.train()


def batch(clips: int = 6) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    values = torch.rand(clips, SPACE.frames, SPACE.bins, generator=random)
    return SPACE.low + (SPACE.high - SPACE.low) * values, torch.rand(clips, 2, generator=random)


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(2)


@pytest.mark.slow
def test_it_has_as_many_parameters_as_the_released_networks() -> None:
    space = Space(frames=1292, bins=128, conditions=2, mean=0.0, deviation=1.0, low=-80.0, high=0.0)
    gan = build(config.GAN(kind="gan"), space)
    sizes = {n: sum(p.numel() for p in net.parameters()) for n, net in gan.networks.items()}
    assert sizes == {"generator": 30_132_769, "discriminator": 42_650_145}
    with torch.no_grad():
        assert gan.sample(torch.zeros(1, 2), seed=0).shape == (1, 1292, 128)


def test_a_small_space_has_small_networks() -> None:
    assert made().networks["generator"].map == (32, 2, 1)
    assert sum(p.numel() for p in made().parameters()) < 60_000
    with pytest.raises(UserError, match="16 bins and 16 frames or more; these have 16 and 12"):
        made(Space(12, 16, 2, 0.0, 1.0, 0.0, 1.0))


def test_labels_are_tensors_of_their_own_and_no_shape_is_forced() -> None:
    gan, (clips, conditions) = made(), batch()
    before = conditions.clone(), clips.clone()
    gan.fit(clips, conditions, draws())
    assert torch.equal(conditions, before[0]) and torch.equal(clips, before[1])
    assert torch.isclose(entropy(torch.tensor([0.0, 2.0]), True), torch.tensor(0.82007))
    with pytest.raises(ValueError, match="Target size"):
        entropy(torch.zeros(6, 1), True)
    for wrong in (
        (clips[:5], conditions),
        (clips, conditions[:, :1]),
        (clips[:, :, :8], conditions),
    ):
        with pytest.raises(ValueError, match="clips and conditions of the shapes"):
            gan.fit(*wrong, draws())


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_the_generators_step_leaves_the_discriminators_gradients_alone(
    micro_batch: int | None,
) -> None:
    gan = made(micro_batch=micro_batch)
    clips, conditions = batch()
    gan._judge(gan.from_raw(clips), conditions, draws())
    judge = gan.networks["discriminator"]
    before = {name: p.grad.clone() for name, p in judge.named_parameters()}
    gan._make(gan.from_raw(clips), conditions, draws())
    assert all(torch.equal(p.grad, before[name]) for name, p in judge.named_parameters())
    assert all(p.grad.abs().sum() > 0 for p in gan.networks["generator"].parameters())
    assert all(p.requires_grad for p in judge.parameters())


def test_a_batch_in_pieces_is_the_same_step_as_the_whole_batch() -> None:
    """Adam divides gradients by their size, the rounding of zeros too: so in double precision."""
    whole, pieces = made().double(), made(micro_batch=4).double()  # of 6: the second is smaller
    first, second = (
        [gan.fit(clips.double(), conditions.double(), random) for _ in range(2)]
        for gan in (whole, pieces)
        for random, (clips, conditions) in [(draws(), batch())]
    )
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.isclose(one[name], other[name], rtol=0, atol=1e-6) for name in one)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(pieces.state_dict()[name], value, rtol=0, atol=1e-9)


def test_gradients_of_pieces_are_those_of_the_whole_batch_in_single_precision() -> None:
    whole, pieces = made(), made(micro_batch=4)
    for gan in (whole, pieces):
        gan._judge(gan.from_raw(batch()[0]), batch()[1], draws())
        gan._make(gan.from_raw(batch()[0]), batch()[1], draws())
    for one, other in zip(whole.networks.parameters(), pieces.networks.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-6)


def test_the_output_reaches_every_training_value_before_tanh_is_flat() -> None:
    gan = made()
    ends = gan.from_raw(torch.tensor([SPACE.low, SPACE.high]))
    torch.testing.assert_close(ends, torch.tensor([-0.95, 0.95]))
    torch.testing.assert_close(gan.to_raw(ends), torch.tensor([SPACE.low, SPACE.high]))
    reached = gan.to_raw(torch.tensor([-1.0, 1.0]))
    assert reached[0] < SPACE.low and reached[1] > SPACE.high


def test_the_curves_tell_how_often_the_discriminator_is_right() -> None:
    gan, (clips, conditions) = made(), batch()
    judge = gan.networks["discriminator"]
    for certain, rates in ((9.0, (1.0, 0.0)), (-9.0, (0.0, 1.0))):
        judge.last.weight.data.zero_()
        judge.last.bias.data.fill_(certain)
        told = gan._judge(gan.from_raw(clips), conditions, draws())
        assert (told["right_real"], told["right_synthetic"]) == rates


@pytest.mark.parametrize("band, judged, built", [(0.99, 2, 2), (0.5, 1, 2), (0.4, 1, 3)])
def test_the_accuracy_band_chooses_how_many_steps_each_network_takes(
    band: float, judged: int, built: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan, taken = made(band=band), []
    half = torch.tensor(0.5)

    def judge(*_: Any) -> dict[str, Tensor]:
        taken.append("judge")
        return {"right_real": half, "right_synthetic": half}

    monkeypatch.setattr(gan, "_judge", judge)
    monkeypatch.setattr(gan, "_make", lambda *_: taken.append("make") or {})
    gan.fit(*batch(), draws())
    assert (taken.count("judge"), taken.count("make")) == (judged, built)


def test_a_sample_depends_on_its_condition_its_place_and_the_seed_alone() -> None:
    gan = made()
    conditions = torch.rand(3, 2)
    samples = gan.sample(conditions, seed=5)
    torch.testing.assert_close(samples, gan.sample(conditions, seed=5, batch=1))
    torch.testing.assert_close(samples[:2], gan.sample(conditions[:2], seed=5))
    assert not torch.allclose(samples, gan.sample(conditions, seed=6))
    assert not torch.allclose(samples, gan.sample(1 - conditions, seed=5))
    assert samples.shape == (3, 16, 16) and samples.device.type == "cpu"


def test_the_average_soon_leaves_the_first_weights() -> None:
    gan = made()
    network = gan.networks["generator"]
    for p in gan.average.parameters():
        p.data.zero_()
    for p in network.parameters():
        p.data.fill_(1.0)
    for _ in range(100):
        gan.follow()
    assert all(torch.all(p > 0.99) for p in gan.average.parameters())


def test_a_step_continues_from_saved_state_to_the_same_numbers() -> None:
    gan, random = made(), draws()
    gan.fit(*batch(), random)
    state = deepcopy([gan.state_dict(), random.get_state()])
    adams = {name: deepcopy(adam.state_dict()) for name, adam in gan.optimisers.items()}
    gan.fit(*batch(), random)
    again, later = made(), torch.Generator()
    again.load_state_dict(state[0])
    later.set_state(state[1])
    for name, adam in adams.items():
        again.optimisers[name].load_state_dict(adam)
    again.fit(*batch(), later)
    assert again.followed == 2
    for name, value in gan.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name

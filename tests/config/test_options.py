"""How a run is carried out, from outside."""

from __future__ import annotations

import pytest

from petl.config.options import TRACKERS, Options, tracked
from petl.errors import UserError


def test_a_manifest_gives_options_back() -> None:
    options = Options(threads=2, checkpoint_minutes=1.5, track=("wandb",))
    assert Options.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    ("said", "names"), [("", ()), ("wandb", ("wandb",)), ("tensorboard, wandb", TRACKERS)]
)
def test_trackers_are_asked_for_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, said: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PETL_TRACK", said)
    assert tracked() == names


def test_an_unknown_tracker_is_told_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETL_TRACK", "wandbb")
    with pytest.raises(UserError, match="did you mean 'wandb'"):
        tracked()


def test_the_names_are_those_that_training_knows() -> None:
    trackers = pytest.importorskip("petl.train.trackers")
    assert set(trackers.KNOWN) == set(TRACKERS)

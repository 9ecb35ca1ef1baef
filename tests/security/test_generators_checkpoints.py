"""A generator's checkpoint that somebody else wrote: it fits the run, or it is not used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from petl import config
from petl.config.study import load_study
from petl.generate.base import Space
from petl.generate.build import build
from petl.generate.collapse import Watch
from petl.train import checkpoint
from petl.train.generators.fit import GeneratorFit
from petl.train.generators.looks import Looks

STUDY = """\
matrix: {dataset: esc10, backbone: ast-small, method: r3gan, fold: 0, seed: 1}
set: {generator: {width: 2}, train: {batch_size: 2, epochs: 9}, dataset: {frames: 16}}
"""


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> GeneratorFit:
    """After a step and a look, without data: nothing here reads a clip."""
    file = tmp_path_factory.mktemp("study") / "s.yaml"
    file.write_text(STUDY)
    (task,) = load_study(file).tasks
    fit, looks = GeneratorFit.__new__(GeneratorFit), Looks.__new__(Looks)
    assert isinstance(task.generator, config.R3GAN)
    fit.task, fit.device, fit.collapse = task, torch.device("cpu"), Watch()
    fit.generator = build(task.generator, Space(16, 16, 2, 0.0, 1.0, -1.0, 1.0))
    fit.generator.begin(task.train)
    fit.generator.fit(torch.randn(2, 16, 16), torch.eye(2), torch.Generator().manual_seed(0))
    fit.clips = SimpleNamespace(steps=3)
    looks.real, looks.limits = torch.zeros(2, 16, 16), (0.0, 1.0)
    looks.epochs, looks.rows = [1], [looks._cells(looks.real)]
    fit.looks, fit.curves = looks, {"loss_generator": [1.0, 1]}
    fit.collapse.step({"gradient_generator": 1.0})
    fit.epoch, fit.step, fit.seconds, fit.trained_s = 2, 1, 0.5, 0.5
    fit.good_epoch, fit.good_weights = 1, fit._average()
    return fit


def written(fit: GeneratorFit) -> Any:
    rows = [{"epoch": 1, "train_loss": 1.0}]
    whole = {"run_id": "a", "fit": fit.state(), "rows": rows, "seconds": 1.0, "tries": 1}
    return whole | {"threads": 1}


def read(state: Any, folder: Path) -> Any:
    (folder / "resume.safetensors").write_bytes(checkpoint._pack(state))
    return checkpoint.read(folder / "resume.safetensors")


def test_its_own_checkpoint_is_used(fit: GeneratorFit, tmp_path: Path) -> None:
    state = read(written(fit), tmp_path)
    checkpoint.check(state, fit, "a")
    fit.restore(state["fit"])
    assert fit.state()["looks"]["epochs"] == [1] and fit.collapse.norms


HUGE = torch.zeros(1000, 8, 16, 16, dtype=torch.uint8)
ATTACKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "weights of another shape": lambda s: s["generator"].update(followed=torch.zeros(9)),
    "a weight more": lambda s: s["generator"].update(evil=torch.zeros(1)),
    "weights missing": lambda s: s["generator"].clear(),
    "an optimiser more": lambda s: s["optimisers"].update(evil={}),
    "an optimiser less": lambda s: s["optimisers"].pop("generator"),
    "moments of another shape": lambda s: s["optimisers"]["generator"][0].update(
        exp_avg=torch.zeros(3)
    ),
    "a parameter that is not there": lambda s: s["optimisers"]["generator"].update({10**6: {}}),
    "a step beyond the epoch": lambda s: s.update(step=4),
    "a step before it": lambda s: s.update(step=-1),
    "a step that is no number": lambda s: s.update(step="1"),
    "an epoch beyond the last": lambda s: s.update(epoch=11),
    "a curve with another name": lambda s: s["curves"].update({"\x1b[2J": [1.0, 1]}),
    "a curve of text": lambda s: s["curves"].update(loss_generator=["1", 1]),
    "too large a picture": lambda s: s["looks"].update(rows=[HUGE]),
    "very many rows": lambda s: s["looks"].update(epochs=[1] * 99, rows=s["looks"]["rows"] * 99),
    "rows without epochs": lambda s: s["looks"].update(epochs=[]),
    "norms without end": lambda s: s["collapse"]["norms"].update(gradient_generator=[1.0] * 999),
    "norms of text": lambda s: s["collapse"]["norms"].update(gradient_generator=["1"]),
    "a method in place of a list": lambda s: s["collapse"].update(step=[]),
    "good weights of another shape": lambda s: s["good"].update(weights={"a": torch.zeros(1)}),
    "no mapping": lambda s: s.update(looks=None),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_one_that_somebody_changed_is_not_used(
    fit: GeneratorFit, tmp_path: Path, attack: str
) -> None:
    state = read(written(fit), tmp_path)
    ATTACKS[attack](state["fit"])
    with pytest.raises(ValueError, match=r"this run|another run"):
        checkpoint.check(read(state, tmp_path), fit, "a")

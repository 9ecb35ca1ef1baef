"""A generator trains like any other run, on the training clips of its fold and on nothing else."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from petl.config import Task
from petl.config.options import Options
from petl.data.load import load
from petl.errors import UserError
from petl.generate.fitted import Fitted
from petl.places import Places
from petl.runs.damage import damage_of
from petl.runs.directory import RunDir
from petl.train.checkpoint import _pack
from petl.train.failures.kinds import Collapsed, Diverged
from petl.train.generators import fit as fit_module
from petl.train.generators.fit import GeneratorFit
from petl.train.generators.looks import Looks
from petl.train.run import Interrupted, run_task
from petl.train.watcher import Watcher

pytestmark = pytest.mark.usefixtures("few_resamples")
ONE = Options(threads=1)
TIMES = ("seconds", "trained_s")


def changed(task, **parts):
    """With other settings of some parts."""
    settings = task.model_dump()
    for name, part in parts.items():
        settings[name] |= part
    return Task.model_validate(settings)


def digest(state) -> str:
    """Of what a checkpoint would hold: of every bit of it."""
    content = _pack(state)
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"][
        "digest"
    ]


@pytest.fixture
def ends(monkeypatch):
    """The states in which fits have ended, as a checkpoint would hold them."""
    found = []

    def outcome_of(fit):
        found.append(digest({k: v for k, v in fit.state().items() if k not in TIMES}))
        return measured(fit)

    measured = fit_module.outcome_of
    monkeypatch.setattr(fit_module, "outcome_of", outcome_of)
    return found


def left(run: RunDir):
    """All that a run leaves behind, less times."""
    result = run.result()
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in run.metrics()]
    kept = [result[key] for key in ("metrics", "floors", "intervals", "params", "epochs")]
    files = [(run.path / name).read_bytes() for name in ("weights.safetensors", "samples.png")]
    return kept, rows, files, result["generator"] | {"seconds": 0}


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("r3gan", 2),
        pytest.param("gan", 1, marks=pytest.mark.slow),
        pytest.param("r3gan", 1, marks=pytest.mark.slow),
        pytest.param("flow", 1, marks=pytest.mark.slow),
    ],
)
def test_a_run_stopped_again_and_again_equals_an_uninterrupted_one(
    kind, steps, generators, places, tmp_path, ends
):
    task = generators[kind]
    a, b = (Places(tmp_path / name, places.data, places.cache) for name in "ab")
    run_task(task, a, ONE)
    tries = 0
    while (run := RunDir.of(task, b.runs)).result() is None:
        tries += 1
        try:
            run_task(task, b, ONE, stop=after(steps))
        except Interrupted:
            assert "not fitted to its end" in refusal(run)
    assert tries >= 6 // steps and ends[0] == ends[-1]
    assert left(run) == left(RunDir.of(task, a.runs))
    assert {file.name for file in run.path.iterdir()} == {
        *("task.json", "metrics.jsonl", "result.json", "weights.safetensors", "log.txt"),
        "samples.png",
    }
    assert not damage_of(run)
    check_what_is_left(run)


def after(steps):
    """Says stop when it is asked for the so-manieth time, and from then on."""
    left = iter(range(steps - 1))
    return lambda: next(left, None) is None


def check_what_is_left(run: RunDir):
    rows, result = run.metrics(), run.result()
    assert ["diversity" in row for row in rows] == [False, True, True]
    assert all(row["train_loss"] > 0 and row["lr"] > 0 for row in rows)
    assert result["metrics"]["test_last"] == result["metrics"]["test_best"]
    assert result["floors"]["real"].keys() >= {"kernel_distance", "kernel_distance_mel"}
    assert set(result["intervals"]) == {"test_last", "real"}
    assert Image.open(run.path / "samples.png").size[1] > 3 * 64  # real clips and two looks
    fitted = Fitted.load(run)
    made = fitted.sample(torch.eye(10)[:3], seed=1)
    assert made.shape == (3, 16, 128) and made.isfinite().all()
    again = fitted.sample(torch.eye(10)[:3], seed=1, batch=2)
    torch.testing.assert_close(made, again, rtol=1e-3, atol=1e-3)
    assert not torch.equal(made, fitted.sample(torch.eye(10)[:3], seed=2))
    assert fitted.names == tuple(result["classes"])
    assert set(fitted.ranges.values()) == {(0.0, 1.0)}


def refusal(run: RunDir) -> str:
    with pytest.raises(UserError) as error:
        Fitted.load(run)
    assert "\n" not in str(error.value)
    return str(error.value)


def weights_after_an_epoch(data, task) -> str:
    fit = GeneratorFit(data, task)
    fit._epoch(Watcher())
    return digest([fit.state()["generator"], list(vars(fit.clips.space).values())])


def test_it_is_fitted_to_training_clips_alone(generators, places):
    task = changed(generators["r3gan"], generator={"look_every": 5})
    data = load(task, places)

    def with_other(part):
        inputs, targets = np.array(data.inputs), np.array(data.targets)
        rows = getattr(data.split, part)
        inputs[rows] = 7 * np.random.default_rng(0).standard_normal(inputs[rows].shape)
        targets[rows] = (targets[rows] + 1) % 10
        return dataclasses.replace(data, inputs=inputs, targets=targets)

    own = weights_after_an_epoch(data, task)
    assert weights_after_an_epoch(with_other("validation"), task) == own
    assert weights_after_an_epoch(with_other("test"), task) == own
    assert weights_after_an_epoch(with_other("train"), task) != own


def test_its_clips_stay_in_the_memory_map(generators, places):
    task = generators["flow"]
    data = load(task, places)
    assert isinstance(data.inputs, np.memmap)
    clips = GeneratorFit(data, task).clips
    assert clips.inputs is data.inputs
    assert [len(batch) for batch, _ in clips.batches(1)] == [12, 12]  # of 30


def test_a_batch_of_more_clips_than_train_is_refused(generators, own_runs):
    task = changed(generators["flow"], train={"batch_size": 31})
    with pytest.raises(UserError, match="batch_size is 31, and fold 0 of tiny has 30 training"):
        run_task(task, own_runs, ONE)


def test_losses_that_are_not_finite_end_the_run_in_one_line(generators, own_runs):
    task = changed(generators["flow"], train={"lr": 1e30})
    with pytest.raises(
        Diverged, match=r"^(loss|gradient_velocity) is (nan|inf) in epoch 1, step 2"
    ):
        run_task(task, own_runs, ONE)
    failure = RunDir.of(task, own_runs.runs).failure()
    assert failure["class"] == "diverged" and "lower than 1e+30" in failure["message"]


def test_a_collapse_ends_the_run_and_leaves_the_last_good_weights(
    generators, own_runs, monkeypatch
):
    seen = iter([1.0, 1.0, 0.1, 0.1])
    monkeypatch.setattr(Looks, "diversity", lambda self, made: next(seen))
    monkeypatch.setattr("petl.generate.collapse.NORMS", 0)  # looks count from the first step on
    task = changed(generators["flow"], train={"epochs": 9}, generator={"look_every": 1})
    with pytest.raises(Collapsed) as error:
        run_task(task, own_runs, ONE)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("collapsed in epoch 4: synthetic clips of one condition")
    assert "weights.safetensors has the averaged weights of epoch 2" in str(error.value)
    run = RunDir.of(task, own_runs.runs)
    assert run.failure()["class"] == "collapsed" and run.state().kind == "failed"
    assert b'\\"last-good\\", \\"epoch\\": 2' in run.weights_file.read_bytes()
    assert "failed (collapsed in epoch 4" in refusal(run)


@pytest.fixture(scope="session")
def done(generators, places, tmp_path_factory):
    own = Places(tmp_path_factory.mktemp("done"), places.data, places.cache)
    task = changed(generators["flow"], train={"epochs": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("petl.generate.measures.measured.RESAMPLES", 3)
        run_task(task, own, ONE)
    return RunDir.of(task, own.runs)


def test_one_training_clip_less_is_another_digest(done, generators, places):
    result, data = done.result(), load(generators["flow"], places)
    other = dataclasses.replace(data.split, train=data.split.train[1:])
    fits = [
        GeneratorFit(d, generators["gan"]) for d in (data, dataclasses.replace(data, split=other))
    ]
    digests = [fit.clips.digest for fit in fits]
    assert digests[0] == result["generator"]["fitted_on"] != digests[1]


HOSTILE = {
    "frames": ("space", {"frames": 10**9}, "does not fit the task"),
    "nan": ("space", {"mean": float("nan")}, "does not fit the task"),
    "deviation": ("space", {"deviation": 0.0}, "does not fit the task"),
    "more": ("space", {"evil": 1.0}, "does not fit the task"),
    "conditions": ("conditions", {"evil": [0.0, 1.0]}, "does not fit the task"),
    "range": ("conditions", {"chirp_up": [0.0]}, "does not fit the task"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_result_that_somebody_changed_is_refused(done, name, tmp_path):
    part, change, complaint = HOSTILE[name]
    result = json.loads(done.result_file.read_text())
    result["generator"][part] |= change
    copy = RunDir(tmp_path / done.path.name)
    copy.path.mkdir()
    for file in ("task.json", "weights.safetensors"):
        (copy.path / file).write_bytes((done.path / file).read_bytes())
    copy.result_file.write_text(json.dumps(result))
    assert complaint in refusal(copy)

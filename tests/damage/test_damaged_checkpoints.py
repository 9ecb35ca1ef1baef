"""A damaged checkpoint is noticed before it is used, and the numbers stay the same to the bit."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
import torch
from interrupted import Case, Damage, numbers
from safetensors.torch import save, save_file

from petl.config import Task
from petl.data.load import load
from petl.model.build import build_model
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train import checkpoint
from petl.train.loop import Fit


def written(state: Any) -> Damage:
    def damage(run: RunDir) -> None:
        run.resume_file.write_bytes(checkpoint._pack(state(checkpoint.read(run.resume_file))))

    return damage


def changed(*keys: Any, to: Any) -> Damage:
    """A whole checkpoint with one value of another kind, as only a person could write it."""

    def change(state: Any) -> Any:
        inner = state
        for key in keys[:-1]:
            inner = inner[key]
        if to is ...:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = to(inner[keys[-1]]) if callable(to) else to
        return state

    return written(change)


def of_another_run(run: RunDir) -> None:
    state = checkpoint.read(run.resume_file)
    run.resume_file.write_bytes(checkpoint._pack(state | {"run_id": "0123456789abcdef"}))


def nested(run: RunDir) -> None:
    rest = '{"fit": ' * 100_000 + "1" + "}" * 100_000
    about = {"state": rest, "digest": checkpoint._digest(rest, {})}
    run.resume_file.write_bytes(save({}, about))


def piped(run: RunDir) -> None:
    run.resume_file.unlink()
    os.mkfifo(run.resume_file)


def linked_to_nothing(run: RunDir) -> None:
    run.resume_file.unlink()
    run.resume_file.symlink_to("nowhere")


HEAD = ("fit", "weights", "head.weight")
CHECKPOINTS: dict[str, Damage] = {
    "empty": lambda run: run.resume_file.write_bytes(b""),
    "half": lambda run: run.resume_file.write_bytes(run.resume_file.read_bytes()[:9000]),
    "NUL after a power cut": lambda run: run.resume_file.write_bytes(bytes(9000)),
    "a pickle": lambda run: torch.save({"fit": {}}, run.resume_file),
    "tensors of something else": lambda run: save_file({"a": torch.ones(2)}, run.resume_file),
    "a list": written(lambda state: [state]),
    "nothing": written(lambda state: {}),
    "nested": nested,
    "a pipe": piped,
    "a link to nothing": linked_to_nothing,
    "of another run": of_another_run,
    "no fit": changed("fit", to=...),
    "no rows": changed("rows", to=...),
    "rows of other epochs": changed("rows", 0, "epoch", to=5),
    "rows of text": changed("rows", 0, "train_loss", to="low"),
    "rows that are none": changed("rows", to=7),
    "one row more": changed("rows", to=lambda rows: [*rows, rows[0]]),
    "times of text": changed("seconds", to="long"),
    "another shape": changed(*HEAD, to=lambda old: old[:3].contiguous()),
    "another type": changed(*HEAD, to=lambda old: old.to(torch.int32)),
    "no tensor": changed(*HEAD, to=1.0),
    "a tensor less": changed(*HEAD, to=...),
    "a tensor more": changed("fit", "weights", "extra", to=torch.ones(1)),
    "moments of another shape": changed("fit", "adamw", "state", 0, "exp_avg", to=torch.ones(1)),
    "moments of another parameter": changed("fit", "adamw", "state", 99, to={}),
    "no groups": changed("fit", "adamw", "param_groups", to=[]),
    "groups in another order": changed(
        "fit", "adamw", "param_groups", 0, "params", to=lambda old: old[::-1]
    ),
    "a rate of text": changed("fit", "adamw", "param_groups", 0, "lr", to="high"),
    "a schedule of another kind": changed("fit", "schedule", to={}),
    "before the first epoch": changed("fit", "epoch", to=-1),
    "after the last epoch": changed("fit", "epoch", to=10**9),
    "an epoch of text": changed("fit", "epoch", to="3"),
    "a step before the first": changed("fit", "step", to=-1),
    "a step of text": changed("fit", "step", to="1"),
    "steps without losses": changed("fit", "losses", to=torch.zeros(0)),
    "losses of whole numbers": changed("fit", "losses", to=lambda old: old.long()),
    "weights of another best": changed("fit", "best", "weights", to={"a": torch.ones(1)}),
    "scores of text": changed("fit", "best", "scores", to={"accuracy": "good"}),
    "an impossible generator": changed("fit", "random", to=lambda old: old * 0 + 255),
    "a short generator": changed("fit", "random", to=lambda old: old[:5].contiguous()),
}


@pytest.fixture(scope="module")
def fit(tiny_tasks: tuple[Places, Task, Task]) -> Fit:
    places, task, _ = tiny_tasks
    return Fit(build_model(task), load(task, places), task)


def test_the_checkpoints_here_are_good_before_their_damage(case: Case, fit: Fit) -> None:
    checkpoint.check(checkpoint.read(case.run.resume_file), fit, case.task.run_id)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_that_does_not_fit_is_noticed_before_it_is_used(
    case: Case, fit: Fit, name: str
) -> None:
    before = fit.state()
    CHECKPOINTS[name](case.run)
    with pytest.raises(ValueError):
        checkpoint.check(checkpoint.read(case.run.resume_file), fit, case.task.run_id)
    assert str(before) == str(fit.state())


@pytest.mark.parametrize("name", ["empty", "a pipe", "another shape", "after the last epoch"])
def test_the_checkpoint_before_takes_over(case: Case, undisturbed: RunDir, name: str) -> None:
    CHECKPOINTS[name](case.run)
    log = case.train()
    assert "resume.safetensors: " in log and "it is not used" in log
    assert "continues in epoch 3" in log and "Traceback" not in log
    assert numbers(case.run) == numbers(undisturbed)


@pytest.mark.parametrize("name", ["empty", "another shape", "of another run"])
def test_without_a_usable_checkpoint_it_starts_again(
    case: Case, undisturbed: RunDir, name: str
) -> None:
    CHECKPOINTS[name](case.run)
    shutil.copy(case.run.resume_file, case.run.older_resume_file)
    log = case.train()
    assert log.count("it is not used") == 2 and "continues in" not in log
    assert "metrics.jsonl: cut after the start" in log
    assert numbers(case.run) == numbers(undisturbed)

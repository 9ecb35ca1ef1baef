"""Training in a damaged run folder mends what can be computed again, or refuses in one line.

Either way the numbers are those of a run that nobody disturbed, to the bit.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from typer.testing import CliRunner

from petl.cli import app
from petl.config import Task
from petl.config.options import Options
from petl.config.study import load_study
from petl.data.load import load
from petl.errors import UserError
from petl.model.build import build_model
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train import checkpoint
from petl.train.loop import Fit
from petl.train.run import Interrupted, run_task

GOLDEN = Path(__file__).parent.parent / "golden"
STUDY = f"""
description: damaged
profile: as-run
report: test_last
keep_weights: true
matrix: {{dataset: tiny, backbone: tiny, method: [bottleneck, linear], fold: 0, seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: "{GOLDEN / "ast_tiny"}"}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      spec_augment: null}}
    train: {{epochs: 3, batch_size: 8}}
methods:
  bottleneck: {{like: bottleneck-pfeiffer, method: {{block: {{reduction: 8}}}}}}
"""
EACH_STEP = Options(threads=1, checkpoint_minutes=0)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, Task, Task]:
    from petl.data.synthetic.quickstart import make_corpus

    root = tmp_path_factory.mktemp("damage")
    make_corpus(root / "data" / "tiny", takes=1)
    (root / "damaged.yaml").write_text(STUDY)
    task, other = load_study(root / "damaged.yaml").tasks
    return Places(root / "whole", root / "data", root / "cache"), task, other


@pytest.fixture(scope="module")
def undisturbed(study: tuple[Places, Task, Task]) -> RunDir:
    places, task, _ = study
    run_task(task, places, Options(threads=1))
    return RunDir.of(task, places.runs)


@pytest.fixture(scope="module")
def half_way(study: tuple[Places, Task, Task], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its third epoch, with two checkpoints."""
    places, task, _ = study
    runs = tmp_path_factory.mktemp("half")
    calls = iter(range(11))
    with pytest.raises(Interrupted):
        stop = lambda: next(calls, None) is None  # noqa: E731
        run_task(task, Places(runs, places.data, places.cache), EACH_STEP, stop=stop)
    run = RunDir.of(task, runs)
    assert run.resume_file.exists() and run.older_resume_file.exists()
    assert len(run.metrics()) == 2
    return runs


Damage = Callable[[RunDir], object]


class Case:
    def __init__(self, study: tuple[Places, Task, Task], half_way: Path, runs: Path):
        shutil.copytree(half_way, runs)
        places, self.task, self.other = study
        self.places = Places(runs, places.data, places.cache)
        self.run = RunDir.of(self.task, runs)

    def train(self) -> str:
        """What log.txt then says more."""
        before = len(self.run.log_file.read_text())
        run_task(self.task, self.places, Options(threads=1))
        return self.run.log_file.read_text()[before:]

    def refusal(self) -> str:
        with pytest.raises(UserError) as error:
            run_task(self.task, self.places, Options(threads=1))
        assert "\n" not in str(error.value)
        assert self.task.run_id in str(error.value)
        return str(error.value)


@pytest.fixture
def case(study: tuple[Places, Task, Task], half_way: Path, tmp_path: Path) -> Case:
    return Case(study, half_way, tmp_path / "runs")


def numbers(run: RunDir) -> Any:
    """All that a run leaves, less times."""
    result = run.result()
    assert result is not None
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in run.metrics()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    facts = {key: result[key] for key in ("metrics", "confusion", "best_epoch", "epochs")}  # type: ignore[literal-required]
    return facts, rows, run.weights_file.read_bytes()


# --- metrics.jsonl --------------------------------------------------------------------------------


def content(change: Callable[[bytes], bytes]) -> Damage:
    def damage(run: RunDir) -> None:
        run.metrics_file.write_bytes(change(run.metrics_file.read_bytes()))

    return damage


METRICS: dict[str, Damage] = {
    "lost": lambda run: run.metrics_file.unlink(),
    "empty": content(lambda old: b""),
    "half a line": content(lambda old: old[:-20]),
    "first line only": content(lambda old: old[: old.index(b"\n") + 1]),
    "second line only": content(lambda old: old[old.index(b"\n") + 1 :]),
    "a broken line": content(lambda old: b'{"epoch": 1, "train\n' + old[old.index(b"\n") + 1 :]),
    "each line twice": content(lambda old: old + old),
    "an epoch too many": content(lambda old: old + b'{"epoch": 7, "train_loss": 0.0}\n'),
    "NUL after a power cut": content(lambda old: bytes(len(old))),
    "not text": content(lambda old: b"\xff\xfe" + old),
    "a list": content(lambda old: b"[1, 2]\n"),
    "numbers of somebody else": content(lambda old: old.replace(b"0.", b"9.")),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_become_whole_again(case: Case, undisturbed: RunDir, name: str) -> None:
    METRICS[name](case.run)
    log = case.train()
    assert "continues in epoch 3" in log
    assert "metrics.jsonl: " in log
    assert numbers(case.run) == numbers(undisturbed)


def test_an_undamaged_folder_is_not_called_damaged(case: Case, undisturbed: RunDir) -> None:
    log = case.train()
    assert "continues in epoch 3" in log and "metrics.jsonl" not in log
    assert numbers(case.run) == numbers(undisturbed)


# --- checkpoints ----------------------------------------------------------------------------------


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
def fit(study: tuple[Places, Task, Task]) -> Fit:
    places, task, _ = study
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


# --- files of another kind ------------------------------------------------------------------------


def is_link(path: Path) -> None:
    path.with_name("private").write_text("mine")
    path.symlink_to("private")


KINDS = {"a link": is_link, "a pipe": os.mkfifo, "a folder": os.mkdir}


@pytest.mark.parametrize("file", ["task.json", "metrics.jsonl", "log.txt", "claim.json"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_files_are_refused_or_set_aside(case: Case, file: str, kind: str) -> None:
    path = case.run.path / file
    path.unlink(missing_ok=True)
    KINDS[kind](path)
    if file == "metrics.jsonl":
        case.train()
        assert (
            os.path.lexists(path.with_name("metrics.jsonl.damaged"))
            and len(case.run.metrics()) == 3
        )
    elif (file, kind) == ("claim.json", "a link"):  # names nobody, and makes way without its target
        case.train()
    else:
        assert file in case.refusal()
        assert path.is_symlink() or not path.is_file()
    if kind == "a link":
        assert (case.run.path / "private").read_text() == "mine"


def test_a_study_in_place_of_its_folder_is_one_line(case: Case) -> None:
    shutil.rmtree(case.run.path)
    case.run.path.write_text("")
    assert "choose another one with --runs or PETL_RUNS" in case.refusal()


# --- the weights of a finished run ----------------------------------------------------------------

WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda old: b"",
    "half": lambda old: old[: len(old) // 2],
    "NUL": lambda old: bytes(len(old)),
    "a header of exabytes": lambda old: b"\xff" * 8 + old[8:],
    "of something else": lambda old: save({"a": torch.ones(2)}),
    "facts that are no JSON": lambda old: old.replace(b'{\\"run_id', b'[\\"run_id', 1),
    "facts that are a list": lambda old: save(_tensors(old), {"petl": json.dumps([1])}),
}


def _tensors(content: bytes) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return load(content)


@pytest.mark.parametrize("name", WEIGHTS)
def test_damaged_weights_are_named_with_their_run(
    study: tuple[Places, Task, Task], undisturbed: RunDir, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "runs" / undisturbed.path.parent.name / undisturbed.path.name
    shutil.copytree(undisturbed.path, run)
    weights = run / "weights.safetensors"
    damaged = WEIGHTS[name](weights.read_bytes())
    assert damaged != weights.read_bytes()
    weights.write_bytes(damaged)
    places = study[0]
    folders = ["--data", str(places.data), "--cache", str(places.cache)]
    for command in (
        ["evaluate", str(run), *folders],
        ["predict", str(run), "x.wav"],
        ["export", str(run), str(tmp_path / "out")],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2, (command, result.output, result.exception)
        assert result.stderr.count("\n") == 1
        assert f"{run.name}/weights.safetensors" in result.stderr
    assert not (tmp_path / "out").exists()

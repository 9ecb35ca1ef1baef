"""Two users of one group share a runs folder: what one plants there does not harm the other.

Each acts in a process of its own, with its own user id, umask 002 and a setgid folder between them.
"""

from __future__ import annotations

import json
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_checkpoint_files import Touch

from petl.config import Task
from petl.config.options import Options
from petl.config.study import load_study
from petl.data.load import load
from petl.errors import UserError
from petl.places import Places
from petl.runs.directory import RunDir
from petl.train.run import run_task

A, B, GROUP = 54001, 54002, 54100
GOLDEN = Path(__file__).parents[1] / "golden"
STUDY = f"""
description: shared
profile: as-run
report: test_last
matrix: {{dataset: tiny, backbone: tiny, method: [linear, bitfit], fold: 0, seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: "{GOLDEN / "ast_tiny"}"}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      spec_augment: null}}
    train: {{epochs: 1, batch_size: 8}}
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two users")


def as_user(user: int, act: Callable[[], object]) -> str:
    """The message of the UserError that it ended with, or an empty text."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        said = ""
        try:
            os.setgroups([GROUP])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(0o002)
            torch.set_num_threads(1)
            act()
        except UserError as error:
            said = str(error)
        except BaseException:
            said = traceback.format_exc()
        os.write(writing, said[-4000:].encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


class Shared:
    def __init__(self, root: Path, places: Places, tasks: list[Task]):
        self.places, self.tasks = places, tasks
        self.private = root / "private.txt"
        self.mark = root / "mark"
        self.run = RunDir.of(tasks[0], places.runs)

    def train(self, number: int = 0) -> str:
        return as_user(A, lambda: run_task(self.tasks[number], self.places, Options(threads=1)))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, list[Task]]:
    from petl.data.synthetic.quickstart import make_corpus

    root = tmp_path_factory.mktemp("shared")
    make_corpus(root / "data" / "tiny", takes=1)
    (root / "shared.yaml").write_text(STUDY)
    tasks = list(load_study(root / "shared.yaml").tasks)
    places = Places(root / "runs", root / "data", root / "cache")
    load(tasks[0], places)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return places, tasks


@pytest.fixture
def shared(inputs: tuple[Places, list[Task]], tmp_path: Path) -> Shared:
    places, tasks = inputs
    for folder in (tmp_path, *tmp_path.parents, *places.data.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "runs").mkdir()
    os.chown(tmp_path / "runs", A, GROUP)
    (tmp_path / "runs").chmod(0o2775)
    made = Shared(tmp_path, Places(tmp_path / "runs", places.data, places.cache), tasks)
    made.private.write_text("mine\n")
    os.chown(made.private, A, A)
    made.private.chmod(0o600)
    tmp_path.chmod(0o777)  # so that code of an attacker could leave its mark
    return made


def linked(name: str) -> Callable[[Shared], None]:
    def attack(shared: Shared) -> None:
        shared.run.path.mkdir(parents=True)
        (shared.run.path / name).symlink_to(shared.private)

    return attack


def a_pickle(shared: Shared) -> None:
    shared.run.path.mkdir(parents=True)
    shared.run.resume_file.write_bytes(pickle.dumps(Touch(shared.mark)))
    torch.save({"fit": Touch(shared.mark)}, shared.run.older_resume_file)


def torchscript(shared: Shared) -> None:
    shared.run.path.mkdir(parents=True)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(shared.run.resume_file))


def a_run_that_is_a_link(shared: Shared) -> None:
    shared.run.path.parent.mkdir(parents=True)
    folder = shared.private.parent / "elsewhere"
    folder.mkdir()
    shared.run.path.symlink_to(folder)


def a_pipe(shared: Shared) -> None:
    shared.run.path.mkdir(parents=True)
    os.mkfifo(shared.run.resume_file)
    os.mkfifo(shared.run.claim_file)


FILES = ("log.txt", "metrics.jsonl", "claim.json", "task.json", "failure.json", "result.json")
FILES += ("resume.safetensors", "resume.new.safetensors", "resume.before.safetensors")
ATTACKS: dict[str, Callable[[Shared], None]] = {
    "a pickle": a_pickle,
    "TorchScript": torchscript,
    "a run that is a link": a_run_that_is_a_link,
    "pipes": a_pipe,
    **{f"a link {name}": linked(name) for name in FILES},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_private_file_stays_and_other_runs_finish(shared: Shared, name: str) -> None:
    assert as_user(B, lambda: ATTACKS[name](shared)) == ""
    said = shared.train()
    assert "\n" not in said, said
    assert (said == "") == (shared.run.path / "result.json").is_file(), said
    assert shared.private.read_text() == "mine\n" and shared.private.stat().st_mode & 0o777 == 0o600
    assert shared.private.stat().st_uid == A
    assert not shared.mark.exists()
    assert not (shared.private.parent / "elsewhere").exists() or not list(
        (shared.private.parent / "elsewhere").iterdir()
    )
    assert shared.train(1) == ""
    assert RunDir.of(shared.tasks[1], shared.places.runs).result() is not None


@pytest.mark.parametrize("name", ["a pickle", "TorchScript"])
def test_a_planted_checkpoint_is_not_read_and_the_run_starts_afresh(
    shared: Shared, name: str
) -> None:
    as_user(B, lambda: ATTACKS[name](shared))
    assert shared.train() == ""
    assert "resume.safetensors: damaged, or not a checkpoint" in shared.run.log_file.read_text()
    assert not shared.mark.exists()


def test_the_attacks_are_real(shared: Shared) -> None:
    """Python's own unpickler would run it, and a plain append would follow the link."""
    as_user(B, lambda: ATTACKS["a pickle"](shared))
    as_user(A, lambda: pickle.loads(shared.run.resume_file.read_bytes()))
    assert shared.mark.exists() and shared.mark.stat().st_uid == A
    link = shared.run.path / "log.txt"
    as_user(B, lambda: link.symlink_to(shared.private))
    as_user(A, lambda: link.open("a").write("hers"))
    assert "hers" in shared.private.read_text()


def test_a_replaced_result_or_task_is_data(shared: Shared) -> None:
    assert shared.train() == ""
    for content in (b"\x80\x04.", b"[" * 100_000, json.dumps({"task": {}}).encode()):
        as_user(B, lambda content=content: shared.run.result_file.unlink())
        as_user(B, lambda content=content: shared.run.result_file.write_bytes(content))
        said = shared.train()
        assert "\n" not in said and not shared.mark.exists()
        assert shared.train(1) == ""

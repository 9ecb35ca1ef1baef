"""Folders that cannot be written or read, as an ordinary user meets them: one line, exit code 2."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
from made_runs import finished
from typer.testing import CliRunner

from petl.cli import app
from petl.config import Task
from petl.config.study import load_study
from petl.runs.directory import RunDir

NOBODY = 65534
GOLDEN = Path(__file__).parent.parent / "golden"
STUDY = f"""
description: folders
profile: as-run
report: test_last
keep_weights: true
matrix: {{dataset: tiny, backbone: tiny, method: linear, fold: 0, seed: 10}}
backbones:
  tiny: {{backbone: {{family: ast, source: "{GOLDEN / "ast_tiny"}"}}}}
datasets:
  tiny:
    dataset: {{corpus: tiny, layout: esc50, classes: 10, folds: 5, frames: 100, split: paper,
      spec_augment: null}}
    train: {{epochs: 1, batch_size: 8}}
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody(arguments: list[str], folder: Path) -> tuple[int, str]:
    """The exit code and stderr of a command that an ordinary user calls in a process of its own.

    A fork, because a new interpreter would import torch for each of the commands here.
    """
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.close(reading)
            os.chdir(folder)
            os.dup2(writing, 2)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            sys.stderr = os.fdopen(2, "w")
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stdout = os.fdopen(1, "w")
            app(arguments, prog_name="petl")
        except SystemExit as end:
            sys.stderr.flush()
            os._exit(int(end.code or 0))
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(70)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def import_everything() -> None:
    """Python itself may lie in a folder that an ordinary user cannot read."""
    import petl

    for module in walk_packages(petl.__path__, "petl."):
        import_module(module.name)
    for name in (
        "colorsys",
        "encodings.utf_8_sig",
        "rich.progress",
        "rich.status",
        "rich.table",
        "safetensors.torch",
    ):
        import_module(name)
    as_root = CliRunner().invoke
    as_root(app, ["pretrain", "no.yaml", "--out", "no"])
    as_root(app, ["draw", "lora", "--out", "/proc/no/x.png"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything readable by all; `shut` may only be listed, `dark` not even that."""
    from petl.data.synthetic.quickstart import make_corpus

    import_everything()
    root = tmp_path_factory.mktemp("world")
    make_corpus(root / "data" / "tiny", takes=1)
    (root / "folders.yaml").write_text(STUDY)
    task = load_study(root / "folders.yaml").tasks[0]
    weights(task, root / "runs")
    for name in ("shut", "dark", "mine"):
        (root / name).mkdir()
    (root / "dark" / "esc50").mkdir()
    (root / "best.pth").write_bytes((GOLDEN / "ast_tiny" / "pytorch_model.bin").read_bytes())
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for parent in (root.parent, root.parent.parent, root.parent.parent.parent):
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    (root / "dark").chmod(0o700)
    os.chown(root / "mine", NOBODY, NOBODY)
    yield root
    (root / "dark").chmod(0o755)


def weights(task: Task, runs: Path) -> None:
    from petl.model.build import build_model, trained_state
    from petl.train.checkpoint import save_weights

    finished(task, runs)
    kept = trained_state(build_model(task))
    save_weights(RunDir.of(task, runs), kept, "best", 1)


SHUT = {
    "train": "train folders.yaml --runs {0} --data data --cache mine",
    "train, cache": "train folders.yaml --runs mine/runs --data data --cache {0}",
    "train, data": "train folders.yaml --runs mine/runs --data {0} --cache mine",
    "pretrain": "pretrain --out {0}/new",
    "evaluate": "evaluate {run} --runs runs --data data --cache {0}",
    "export": "export {run} {0}/new --runs runs",
    "export huggingface": "export {run} {0}/new --runs runs --format huggingface",
    "import-authors": "import-authors best.pth {0}/new --flags dataset_name=ESC-50,method=linear",
    "data prepare": "data prepare folders.yaml --data data --cache {0}",
    "data fetch": "data fetch esc50 --data {0} --url http://127.0.0.1:1/x",
    "draw": "draw lora --out {0}/lora.png",
    "schema": "schema --out {0}/schema.json",
}
DARK = {
    "predict": "predict {run} {0} --runs runs",
    "predict, runs": "predict {run} best.pth --runs {0}",
    "evaluate, runs": "evaluate {run} --runs {0}",
    "evaluate, data": "evaluate {run} --runs runs --data {0} --cache mine",
    "export, runs": "export {run} mine/new --runs {0}",
    "data check": "data check esc50 {0}",
    "data check, data": "data check esc50 --data {0}",
    "count": "count {0}/study.yaml",
    "train, study": "train {0}/study.yaml",
    "pretrain, settings": "pretrain {0}/settings.yaml --out mine/pretrained",
    "import-authors, file": "import-authors {0}/best.pth mine/out --flags method=linear",
    "import-authors, flags": "import-authors best.pth mine/out --flags {0}/flags.json",
}


CASES = [(name, kind) for name in SHUT for kind in ("shut", "dark", "gone")]
CASES += [(name, kind) for name in DARK for kind in ("dark", "gone")]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_is_one_line(world: Path, name: str, kind: str) -> None:
    run = load_study(world / "folders.yaml").tasks[0].run_id
    folder = world / ("best.pth" if kind == "gone" else kind)  # a file in place of the folder
    words = (SHUT | DARK)[name].format(folder, run=run).split()
    code, said = as_nobody(words, world)
    shutil.rmtree(world / "mine" / "runs", ignore_errors=True)
    usage = said.startswith("Usage: ") and " is not readable." in said  # click's own refusal
    assert code == 2 or name.startswith(("predict", "data check")), said
    assert "Traceback" not in said
    assert usage or all(line.startswith("petl: ") for line in said.splitlines())
    assert usage or said.count("\n") <= (2 if name.startswith("predict") else 1)


def test_a_current_folder_that_was_deleted_is_one_line(world: Path) -> None:
    gone = world / "gone"
    gone.mkdir()
    code, said = as_nobody(["train", str(world / "folders.yaml")], gone)
    assert code == 2 and said.count("\n") == 1

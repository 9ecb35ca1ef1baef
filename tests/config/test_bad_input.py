"""Whatever is wrong with a study: one line that names file and key, exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.cli import app

ROOT = Path(__file__).parents[2]

GOOD = """\
description: a small study
profile: as-run
report: test_last
matrix:
  dataset: esc50
  backbone: ast
  method: [linear, lora]
  fold: all
  seed: 10
"""


def but(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


# name: (the study, the line that is to blame, what the message says)
CASES: dict[str, tuple[str, int, str]] = {
    "typo in a key": (
        but("profile:", "profil:"),
        2,
        "unknown key 'profil'; did you mean 'profile'?",
    ),
    "typo in the matrix": (but("seed:", "seeds:"), 9, "'matrix.seeds'; did you mean 'seed'?"),
    "typo in settings": (
        GOOD + "set: {train: {epoch: 3}}\n",
        10,
        "'train.epoch'; did you mean 'epochs'?",
    ),
    "typo in a part": (GOOD + "set: {trian: {epochs: 3}}\n", 10, "'trian'; did you mean 'train'?"),
    "unknown masks": (
        GOOD + "set: {dataset: {spec_augment: midl}}\n",
        10,
        "spec_augment cannot be 'midl'; did you mean 'mild'?",
    ),
    "unknown sound": (
        GOOD + "datasets: {esc50: {sound: music}}\n",
        10,
        "datasets.esc50.sound cannot be 'music'; it can be other, speech",
    ),
    "missing matrix key": (but("  seed: 10\n", ""), 4, "'matrix.seed' is missing"),
    "unknown dataset": (but("esc50", "esc5"), 5, "unknown dataset 'esc5'; did you mean 'esc50'?"),
    "unknown method": (but("lora]", "loar]"), 7, "unknown method 'loar'; did you mean 'lora'?"),
    "unknown backbone": (but("backbone: ast", "backbone: asr"), 6, "unknown backbone 'asr'"),
    "unknown profile": (but("as-run", "as-ran"), 2, "cannot be 'as-ran'; did you mean 'as-run'?"),
    "line break in a word": (
        but("as-run", '"as\\nrun"'),
        2,
        "profile cannot be 'as run'",
    ),
    "unknown report": (but("test_last", "test_lst"), 3, "did you mean 'test_last'?"),
    "negative lr": (GOOD + "set: {train: {lr: -1e-3}}\n", 10, "train.lr should be greater than 0"),
    "NaN lr": (GOOD + "set: {train: {lr: .nan}}\n", 10, "train.lr"),
    "infinite lr": (GOOD + "set: {train: {lr: .inf}}\n", 10, "train.lr"),
    "zero epochs": (GOOD + "set:\n  train:\n    epochs: 0\n", 12, "train.epochs should be greater"),
    "half an epoch": (GOOD + "set: {train: {epochs: 1.5}}\n", 10, "train.epochs should be"),
    "list for a number": (GOOD + "set: {train: {lr: [1e-3]}}\n", 10, "train.lr should be a"),
    "mapping for a number": (GOOD + "set: {train: {lr: {a: 1}}}\n", 10, "train.lr should be a"),
    "number for a mapping": (GOOD + "set: {train: 3}\n", 10, "train should be a mapping"),
    "quoted number": (GOOD + 'set: {train: {batch_size: "32"}}\n', 10, "not '32'"),
    "true for a number": (GOOD + "set: {train: {epochs: true}}\n", 10, "not True"),
    "null for a number": (GOOD + "set: {train: {epochs: null}}\n", 10, "not None"),
    "text for true": (
        but("[linear, lora]", "conformer-pfeiffer") + 'set: {method: {residual: "False"}}\n',
        10,
        "method.residual should be a boolean, not 'False'",
    ),
    "YAML 1.1's no": (
        but("[linear, lora]", "conformer-pfeiffer") + "set: {method: {residual: no}}\n",
        10,
        "not 'no'",
    ),
    "unknown placement": (
        but("[linear, lora]", "conformer-pfeiffer") + "set: {method: {placement: pfeifer}}\n",
        10,
        "cannot be 'pfeifer'; did you mean 'pfeiffer'?",
    ),
    "kernel on a bottleneck": (
        but("[linear, lora]", "bottleneck-pfeiffer") + "set: {method: {block: {kernel: 8}}}\n",
        10,
        "unknown key 'method.block.kernel'",
    ),
    "a split that a preset of a method is merged over": (
        but("[linear, lora]", "linear-probe").replace("esc50", "own")
        + "datasets:\n  own: {like: esc50, dataset: {layout: folders,\n      split: grouped}}\n",
        12,
        "dataset.split 'grouped' needs dataset.group",
    ),
    "unknown family": (
        GOOD + "methods:\n  linear:\n    method: {family: linaer}\n    train: {lr: 1e-3}\n",
        12,
        "method.family cannot be 'linaer'; did you mean 'linear'?",
    ),
    "no family": (
        GOOD + "methods:\n  linear: {method: {length: 3}, train: {lr: 1e-3}}\n",
        11,
        "'method.family' is missing",
    ),
    "no method": (
        GOOD + "methods:\n  linear: {train: {lr: 1e-3}}\n",
        7,
        "esc50, ast, linear: 'method' is missing",
    ),
    "no lr": (
        GOOD + "methods:\n  linear: {method: {family: linear}}\n",
        7,
        "esc50, ast, linear: 'train.lr' is missing",
    ),
    "fold beyond the last": (but("fold: all", "fold: 7"), 8, "no fold 7: esc50 has folds 0-4"),
    "negative fold": (but("fold: all", "fold: -1"), 8, "should be greater than or equal to 0"),
    "negative seed": (but("seed: 10", "seed: -1"), 9, "should be greater than or equal to 0"),
    "no seed at all": (
        but("seed: 10", "seed: []"),
        9,
        "matrix.seed should have at least 1, not []",
    ),
    "rule without a match": (
        GOOD + "when:\n  - method: conformer-*\n    set: {train: {epochs: 3}}\n",
        11,
        "'conformer-*' matches no method of the matrix",
    ),
    "rule without settings": (GOOD + "when:\n  - method: lora\n", 11, "'when.0.set' is missing"),
    "typo in a rule": (
        GOOD + "when:\n  - method: lora\n    set: {train: {lrr: 1}}\n",
        12,
        "'train.lrr'; did you mean 'lr'?",
    ),
    "like itself": (
        GOOD + "methods:\n  linear: {like: lora}\n  lora: {like: linear}\n",
        12,
        "is `like` itself: linear -> lora -> linear",
    ),
    "like nothing": (GOOD + "methods:\n  lora: {like: lorra}\n", 11, "unknown method 'lorra'"),
    "only and except leave nothing": (
        GOOD + "only: [{method: lora}]\nexcept: [{fold: [0, 1, 2, 3, 4]}]\n",
        4,
        "exclude every task",
    ),
    "list at the top": ("- description: no\n", 1, "should be a mapping"),
    "text at the top": ("just words\n", 1, "should be a mapping"),
    "tab": (but("  seed", "\tseed"), 9, "tab in the indentation"),
    "key given twice": (GOOD + "profile: as-intended\n", 10, "given twice (first on line 2)"),
    "broken YAML": (but("lora]", "lora"), 8, "not YAML"),
    "key that is a list": (GOOD + "? [a, b]\n: 1\n", 10, "a key must be plain text"),
    "tag that runs code": (
        GOOD + "x: !!python/object/apply:os.system [ls]\n",
        10,
        "the tag !!python",
    ),
    "tag on a value": (
        GOOD + "x: !!python/name:os.system a\n",
        10,
        "the tag !!python/name:os.system is not supported",
    ),
    "anchor in itself": (GOOD + "set: &a {train: *a}\n", 10, "this anchor contains itself"),
    "nested without end": (GOOD + "set: " + 1500 * "[" + "\n", 0, "nested too deeply"),
    "octal of YAML 1.1": (but("seed: 10", "seed: 010"), 9, "not '010'"),
    "time of YAML 1.1": (but("seed: 10", "seed: 1:30"), 9, "not '1:30'"),
    "two documents": (GOOD + "---\nmore: 1\n", 10, "not YAML"),
    "unknown anchor": (GOOD + "set: *nothing\n", 10, "not YAML"),
    "label that is a number": (GOOD + "methods:\n  lora: {label: 3}\n", 11, "label should be a"),
    "spectrogram setting on waveforms": (
        but("backbone: ast", "backbone: wav2vec2") + "set: {backbone: {pooling: cls}}\n",
        10,
        "unknown key 'backbone.pooling'",
    ),
    "prompts without CLS": (
        but("backbone: ast", "backbone: wav2vec2").replace("[linear, lora]", "dpt-25"),
        7,
        "prompts are inserted after the CLS token, and wav2vec 2.0 has none",
    ),
    "prompts without prompt method": (
        GOOD + "set: {backbone: {pooling: prompts}}\n",
        10,
        "needs a prompt method, not 'linear'",
    ),
    "distillation token of a ViT": (
        but("backbone: ast", "backbone: vit") + "set: {backbone: {pooling: cls+dist}}\n",
        10,
        "'cls+dist' needs a distillation token",
    ),
    "distillation token after prompts": (
        but("[linear, lora]", "dpt-25") + "set: {backbone: {pooling: cls+dist}}\n",
        10,
        "prompts replace it",
    ),
}


def said(study: Path, command: str = "plan") -> str:
    """What the command line says to it, having checked that it is one line and exit code 2."""
    result = CliRunner().invoke(app, [command, str(study)])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("petl: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    return result.stderr


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_gets_one_line_that_says_where(name: str, tmp_path: Path) -> None:
    text, line, message = CASES[name]
    study = tmp_path / "study.yaml"
    study.write_text(text)
    told = said(study)
    assert message in told
    if line:
        assert told.startswith(f"petl: {study}:{line}: ")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "table1.yaml").write_text(GOOD)
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    (tmp_path / "sound.yaml").write_bytes(b"RIFF\xff\xfe\x00")
    (tmp_path / "nul.yaml").write_bytes(b"a: \x00\n")
    assert "no such file; did you mean" in said(tmp_path / "table2.yaml")
    assert "no such file (and no folder" in said(tmp_path / "nowhere" / "table1.yaml")
    assert "this is a folder; name a YAML file in it, such as" in said(tmp_path)
    assert "the file is empty" in said(tmp_path / "empty.yaml")
    assert "not a text file" in said(tmp_path / "sound.yaml")
    assert "not YAML" in said(tmp_path / "nul.yaml")
    assert "not a directory" in said(tmp_path / "table1.yaml" / "more.yaml")


@pytest.mark.parametrize("command", ["submit", "status", "train", "table"])
def test_every_command_says_it_the_same_way(command: str, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(but("profile:", "profil:"))
    assert "did you mean 'profile'?" in said(study, command)


@pytest.mark.parametrize("name", ["negative lr", "tab", "unknown method"])
def test_so_does_the_real_process(name: str, tmp_path: Path) -> None:
    text, line, message = CASES[name]
    study = tmp_path / "study.yaml"
    study.write_text(text)
    command = [sys.executable, "-m", "petl.cli", "plan", study]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"petl: {study}:{line}: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_anchors_and_what_yaml_1_2_says_are_fine(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        GOOD + "set: {train: &t {lr: 5e-5}}\nwhen: [{method: lora, set: {train: *t}}]\n"
    )
    result = CliRunner().invoke(app, ["plan", str(study), "--runs", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "0 of 10 done" in result.stdout

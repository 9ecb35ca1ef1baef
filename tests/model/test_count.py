"""Every count is that of the released code on a full-size AST, without a weight in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from petl.backbones import known
from petl.cli import app
from petl.config.study import EXPERIMENTS, expand
from petl.config.yamlfile import parse_value, read_yaml
from petl.errors import UserError
from petl.model.count import Counts, count

PAPER = read_yaml(EXPERIMENTS / "paper.yaml").data
COUNTED = {
    "full-FT": (85746482, 85708032, 85746482),
    "linear": (39986, 1536, 85746482),
    "BitFit": (140594, 102144, 85746482),
    "SPT-300": (270386, 231936, 85976882),
    "DPT-25": (270386, 231936, 85976882),
    "prefix-24": (261170, 222720, 85967666),
    "LoRA RR128": (261170, 222720, 85967666),
    "bottleneck Pfeiffer RR64": (288962, 250512, 85977026),
    "bottleneck Houlsby RR64": (537938, 499488, 86207570),
    "conformer Pfeiffer RR96 k31": (310706, 272256, 85998770),
    "conformer Pfeiffer RR96 k8": (308498, 270048, 85996562),
    "conformer Houlsby RR96 k31": (581426, 542976, 86251058),
    "Dense-MoA bottleneck Pfeiffer MHSA RR128 x7": (962174, 923724, 86650238),
    "Soft-MoA bottleneck Pfeiffer MHSA RR128 x7 slots1": (962090, 923640, 86650154),
}
STUDY = """\
description: everything that was counted
profile: as-run
report: test_last
matrix:
  dataset: esc50
  backbone: ast
  method: [full, linear, bitfit, spt-300, dpt-25, prefix-24, lora, bottleneck-pfeiffer,
    bottleneck-houlsby, conformer-pfeiffer, conformer-8, conformer-houlsby, dense-moa, soft-moa]
  fold: 0
  seed: 10
methods:
  conformer-8: {like: conformer-pfeiffer, method: {block: {kernel: 8}}}
"""


@pytest.fixture(scope="module")
def rows() -> list[Counts]:
    return list(count(expand(parse_value(STUDY), "study"), PAPER))


def test_all_fourteen_are_the_released_codes(rows: list[Counts]) -> None:
    ours = [(row.trainable, row.without_head, row.total) for row in rows]
    assert ours == list(COUNTED.values())


def test_each_finds_its_row_in_the_papers_figures(rows: list[Counts]) -> None:
    assert {k: tuple(v) for k, v in PAPER["counts_esc50"].items()} == COUNTED
    assert [row.counted for row in rows] == list(COUNTED.values())
    assert [row.printed for row in rows][:3] == ["85M", "9/40K", "102K"]


def test_counting_takes_no_memory_for_weights() -> None:
    """One full-size AST is 343 MB; here eleven are counted on four datasets."""
    code = """
import resource
from petl.model.count import count
from petl.config.study import load_study
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, paper = peak(), {"table1": {}, "counts_esc50": {}}
print(len(list(count(load_study("experiments/table1.yaml").tasks, paper))), peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, grown_kb = map(int, done.stdout.split())
    assert rows == 44
    assert grown_kb < 50_000


def test_the_command_prints_a_line_for_each_method() -> None:
    result = CliRunner().invoke(app, ["count", str(EXPERIMENTS / "table1.yaml")])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "esc50 · ast" in lines
    lora = next(line for line in lines if line.split()[:1] == ["lora"])
    assert lora.split() == ["lora", "261,170", "222,720", "85,967,666", "the", "same", "221K"]


def test_a_generator_is_not_counted_as_the_encoder_that_measures_it(tmp_path: Path) -> None:
    matrix = "matrix: {dataset: esc50, backbone: ast-small, method: METHODS, fold: 0, seed: 1}\n"
    (tmp_path / "both.yaml").write_text(matrix.replace("METHODS", "[gan, linear]"))
    (tmp_path / "gan.yaml").write_text(matrix.replace("METHODS", "gan"))
    both, alone, drawn = (
        CliRunner().invoke(app, words)
        for words in (
            ["count", str(tmp_path / "both.yaml")],
            ["count", str(tmp_path / "gan.yaml")],
            ["draw", "gan", "--out", str(tmp_path / "gan.png")],
        )
    )
    assert both.exit_code == 0 and "linear" in both.stdout and "gan" not in both.stdout
    for refused in (alone, drawn):
        assert refused.exit_code == 2
        assert refused.stderr.startswith("petl: gan is a generator, whose networks depend on the")


def test_a_backbone_that_nobody_knows_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'some/backbone' is not known without a download"):
        known.shape_of("some/backbone")


def test_a_folders_config_is_enough(golden: Path) -> None:
    assert known.shape_of(str(golden / "ast_tiny"))["hidden_size"] == 32

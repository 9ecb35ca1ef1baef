"""docs/methods.md agrees with the code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
import yaml
from PIL import Image

from petl.config import Task, presets
from petl.config.study import EXPERIMENTS, expand
from petl.config.yamlfile import parse_value, read_yaml
from petl.model.count import count

DOCS = EXPERIMENTS.parent / "docs"
METHODS = (DOCS / "methods.md").read_text()
task_of = cache(presets.task_of)
PRESETS = read_yaml(EXPERIMENTS / "presets.yaml").data
PAPER = read_yaml(EXPERIMENTS / "paper.yaml").data
SNIPPETS = re.findall(r"```yaml\n(.*?)```", METHODS, flags=re.DOTALL)
STUDY = """\
description: every line of the documentation
profile: {profile}
report: test_last
matrix: {{dataset: esc50, backbone: ast, method: [{names}], fold: 0, seed: 10}}
methods:
  {presets}
"""


def tasks(profile: str) -> list[Task]:
    """A study with all of them: each line is `methods: {name: ...}`."""
    presets = [line.removeprefix("methods: {").rstrip()[:-1] for line in SNIPPETS]
    names = ", ".join(preset.partition(":")[0] for preset in presets)
    study = STUDY.format(profile=profile, names=names, presets="\n  ".join(presets))
    return expand(parse_value(study), "study")


@pytest.mark.parametrize("profile", ["as-run", "as-intended"])
def test_every_yaml_line_is_valid(profile: str) -> None:
    assert len(tasks(profile)) == len(SNIPPETS) >= 15
    for line in SNIPPETS:
        assert line.count("\n") == 1
        assert list(yaml.safe_load(line)) == ["methods"]


def test_the_yaml_lines_show_every_family_and_block() -> None:
    def families(found: Iterable[Task]) -> set[tuple[str, str]]:
        methods = [task.method.model_dump() for task in found]
        return {(method["family"], method.get("block", {}).get("kind", "")) for method in methods}

    presets, shown = families(map(task_of, PRESETS["methods"])), families(tasks("as-run"))
    assert presets - shown == {("linear", "")}  # it has nothing to set


def test_the_table_is_what_petl_count_counts() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\d.*) \|$", METHODS, flags=re.MULTILINE)
    methods = [name for name, preset in PRESETS["methods"].items() if "generator" not in preset]
    assert [name for name, _ in rows] == methods
    for name, figures in rows:
        (row,) = count([task_of(name)], PAPER)
        ours = [f"{number:,}" for number in (row.trainable, row.without_head, row.total)]
        assert [figure.strip() for figure in figures.split("|")] == [*ours, row.printed], name


def test_the_pictures_are_small_and_by_petl_draw() -> None:
    pictures = re.findall(r'<img src="([\w.-]+)"', METHODS)
    assert len(pictures) >= 3
    for name in pictures:
        assert (DOCS / name).stat().st_size < 60_000
        assert Image.open(DOCS / name).info["Software"] == "petl-ast draw"
        assert Path(name).stem in PRESETS["methods"]

"""What docs/datasets.md says of datasets is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import trees
import yaml

from petl.config.published import PUBLISHED
from petl.config.study import EXPERIMENTS, load_study

TEXT = (EXPERIMENTS.parent / "docs" / "datasets.md").read_text()
SNIPPETS = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
ROWS = re.findall(r"^\| \[`([\w-]+)`\]\S+ \|(.*)\|$", TEXT, flags=re.MULTILINE)
STUDY = yaml.safe_load(trees.STUDY.format(profile="as-run", name="esc50"))


@pytest.mark.parametrize("profile", ["as-run", "as-intended"])
@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_every_piece_of_yaml_belongs_in_a_study(tmp_path: Path, profile: str, number: int) -> None:
    study = STUDY | {"profile": profile} | yaml.safe_load(SNIPPETS[number])
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    assert load_study(tmp_path / "study.yaml").tasks


def test_there_are_such_pieces_for_every_way_to_bring_own_sounds() -> None:
    text = "".join(SNIPPETS)
    for setting in ("split: given", "split: ratio", "fold:", "part:", "targets:", "few_shot:"):
        assert setting in text


def test_the_table_is_the_presets_and_the_official_counts(tmp_path: Path) -> None:
    presets = yaml.safe_load((EXPERIMENTS / "presets.yaml").read_text())["datasets"]
    published = [name for name in presets if name in PUBLISHED]
    assert [name for name, _ in ROWS] == published == list(PUBLISHED)
    for name, cells in ROWS:
        study = STUDY | {"matrix": STUDY["matrix"] | {"dataset": name}}
        (tmp_path / "study.yaml").write_text(json.dumps(study))
        task = load_study(tmp_path / "study.yaml").tasks[0]
        dataset, train = task.dataset, task.train
        assert [cell.strip() for cell in cells.split("|")] == [
            f"`{dataset.layout}`",
            f"{PUBLISHED[name].clips:,}",
            str(dataset.classes or f"{len(dataset.targets)} numbers"),
            str(dataset.folds),
            f"{dataset.frames / 100:.0f} s",
            f"{train.epochs}, {train.batch_size}",
        ]


def test_the_official_parts_are_the_text(tmp_path: Path) -> None:
    for official in PUBLISHED.values():
        for count in official.parts.values():
            assert f"{count:,}" in TEXT

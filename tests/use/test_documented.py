"""The settings and tables in docs/using-a-run.md are correct."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from petl.config.methods.base import FAMILIES
from petl.config.study import EXPERIMENTS, load_study
from petl.use.to_library import POOLED

DOCUMENT = (EXPERIMENTS.parent / "docs" / "using-a-run.md").read_text()
QUICKSTART = (EXPERIMENTS / "quickstart.yaml").read_text()
SNIPPETS = re.findall(r"```yaml\n(.*?)```", DOCUMENT, flags=re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_yaml_line_changes_a_study(snippet: str, tmp_path: Path) -> None:
    before = load_study(EXPERIMENTS / "quickstart.yaml").tasks[0]
    path = tmp_path / "quickstart.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(QUICKSTART) | yaml.safe_load(snippet)))
    after = load_study(path).tasks[0]
    assert after != before
    assert (after.run_id == before.run_id) == ("keep_weights" in snippet)


def test_the_tables_know_every_pooling_and_what_cannot_be_merged() -> None:
    assert f"| {', '.join(f'`{name}`' for name in POOLED)} | `ASTModel`" in DOCUMENT
    assert "| `cls+dist` | `ASTForAudioClassification`" in DOCUMENT
    for family in (name for name, method in FAMILIES.items() if method.why_not_merged):
        assert re.search(rf"\| [^|]*{family}s?[^|]* \| no:", DOCUMENT, re.IGNORECASE), family

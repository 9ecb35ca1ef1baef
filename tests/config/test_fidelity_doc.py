"""docs/fidelity.md lists every switch of the profiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from petl.config.study import EXPERIMENTS
from petl.config.yamlfile import read_yaml

FIDELITY = (EXPERIMENTS.parent / "docs" / "fidelity.md").read_text()
PRESETS = read_yaml(EXPERIMENTS / "presets.yaml").data


def switches(tree: dict[str, Any], at: str = "") -> Iterator[str]:
    """Dotted names such as `method.block.init`; statistics count as one switch."""
    for key, value in tree.items():
        here = f"{at}.{key}".lstrip(".")
        if isinstance(value, dict) and key != "statistics":
            yield from switches(value, here)
        else:
            yield here


@pytest.mark.parametrize("profile", ["as-run", "as-intended"])
def test_every_switch_of_the_profiles_has_a_row(profile: str) -> None:
    rows = [line for line in FIDELITY.splitlines() if line.startswith("|")]
    for key, tree in PRESETS["profiles"][profile].items():
        for switch in switches(tree):
            matching = [row for row in rows if f"`{key}`" in row and f"`{switch}`" in row]
            assert matching, f"docs/fidelity.md has no row for {switch} of '{key}'"


def test_every_setting_in_the_document_exists() -> None:
    schema = (EXPERIMENTS / "study.schema.json").read_text()
    for setting in set(re.findall(r"`((?:method|backbone|dataset|head|train)\.[\w.]+)`", FIDELITY)):
        assert f'"{setting.rpartition(".")[2]}"' in schema, setting

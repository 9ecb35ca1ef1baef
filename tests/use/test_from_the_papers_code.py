"""docs/from-the-papers-code.md translates flags as `petl import-authors` does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from petl.config.study import expand
from petl.config.yamlfile import parse_value
from petl.use.import_authors import read_flags
from petl.use.released import method_of

PAGE = Path(__file__).parents[2] / "docs" / "from-the-papers-code.md"
ROWS = re.findall(r"^\| `(method=[^`]+)` \| `(\{like[^`]+)` \|$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("flags", "entry"), ROWS, ids=[entry for _, entry in ROWS])
def test_a_row_of_the_page_is_the_same_method(flags: str, entry: str) -> None:
    matrix = {"dataset": "esc50", "backbone": "ast", "method": "mine", "fold": 0, "seed": 10}
    study = {"description": "one", "profile": "as-run", "report": "test_last", "matrix": matrix}
    (task,) = expand(study | {"methods": {"mine": parse_value(entry)}}, "one")
    assert task.method == method_of(read_flags(flags.replace(" ", ",")))


def test_the_page_translates_every_method_of_the_released_code() -> None:
    named = {flags.split()[0].partition("=")[2] for flags, _ in ROWS}
    every = "full-FT linear BitFit prompt-tuning prefix-tuning LoRA LoRA-ablation adapter"
    assert named == {*every.split(), "adapter-ablation", "Dense-MoA", "Soft-MoA"}

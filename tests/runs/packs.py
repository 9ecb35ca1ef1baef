"""Studies of made-up runs to pack."""

from __future__ import annotations

from pathlib import Path

from petl.config.study import Study, load_study
from petl.runs.archive.packing import pack, preview_pack

STUDY = """
description: packed
profile: as-run
report: test_last
matrix:
  dataset: esc50
  backbone: ast
  method: [linear, lora]
  fold: all
  seed: {seeds}
set: {{train: {{epochs: 3}}}}
"""


def made(folder: Path, seeds: list[int]) -> Study:
    path = folder / "many.yaml"
    path.write_text(STUDY.format(seeds=seeds))
    return load_study(path)


def content(folder: Path) -> dict[str, bytes]:
    """All files of all runs, by path."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "packed" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def pack_all(folder: Path) -> None:
    runs = preview_pack(folder).runs
    assert pack(folder, runs) == {"packed": len(runs)}

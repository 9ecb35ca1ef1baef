"""Names with dollars, braces and signs: in figures, LaTeX, spreadsheets and commands to copy."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.figures.figure import FIGURES, draw
from analysis.html.page import page
from analysis.html.report import Report
from analysis.tables.tabulate import tabulate
from petl.config.study import Study, load_study
from petl.errors import UserError
from petl.picture import to_bytes
from petl.runs.synthetic import fabricate

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)"]
MATH = [r"$\frac{$", "$$", r"{a}}\undefined_{x^"]
SIZES = {f"size{n}": {"method": {"reduction": n}} for n in (64, 128)}


def study_with(folder: Path, label: str, **more: Any) -> tuple[Study, Path]:
    """Dataset, methods and classes have this label; the folder's name has a space."""
    settings = {"corpus": "made-sounds", "layout": "esc50", "classes": 4, "folds": 2}
    settings |= {"frames": 100, "split": "paper", "spec_augment": None}
    methods = {
        name: {"like": "lora", "label": f"{label} {name}", **size} for name, size in SIZES.items()
    }
    file = {
        **{"description": label, "profile": "as-run", "report": "test_last", "methods": methods},
        "matrix": {"dataset": "d", "backbone": "ast-small", "fold": "all", "seed": 1}
        | {"method": list(methods)},
        "datasets": {
            "d": {"label": label, "dataset": settings, "train": {"epochs": 2, "batch_size": 8}}
        },
    }
    path = folder / "a study.yaml"
    path.write_text(yaml.safe_dump(file | more))
    study = load_study(path)
    fabricate(study, folder)
    for result in folder.glob("*/*/result.json"):
        content = json.loads(result.read_bytes())
        content["classes"] = [f"{label}{i}" for i in range(4)]
        result.write_text(json.dumps(content))
    return study, folder


@pytest.mark.parametrize("label", MATH)
def test_a_figure_writes_a_label_as_it_is(tmp_path: Path, label: str) -> None:
    study, runs = study_with(tmp_path, label)
    drawn = 0
    for name in FIGURES:
        try:
            figure = draw(
                name,
                study,
                runs,
                **({"method": "size64"} if name in ("confusion", "predictions") else {}),
            )
        except UserError as error:
            assert "needs them" in str(error)
            continue
        to_bytes(figure, "png")
        drawn += 1
    assert drawn >= 6


def test_a_spreadsheet_executes_no_label(tmp_path: Path) -> None:
    for i, label in enumerate(FORMULAS):
        folder = tmp_path / str(i)
        folder.mkdir()
        made = tabulate(*study_with(folder, label))
        for row in csv.DictReader(io.StringIO(made.in_format("csv"))):
            assert row["dataset_label"] == f"'{label}" and row["method_label"].startswith(
                f"'{label}"
            )
            assert float(row["mean"]) > 0 and not row["study"].startswith("'")


def test_a_report_quotes_the_commands_to_copy(tmp_path: Path, monkeypatch: Any) -> None:
    study, runs = study_with(tmp_path, "x")
    monkeypatch.chdir(tmp_path)
    assert shlex.split(Report.of(study, runs).file) == ["a study.yaml"]
    next(runs.glob("*/*/result.json")).unlink()
    assert "petl submit &#x27;a study.yaml&#x27;" in page(Report.of(study, runs)).replace(
        "&#39;", "&#x27;"
    )

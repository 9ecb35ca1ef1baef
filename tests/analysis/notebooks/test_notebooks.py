"""The notebooks run, on made studies, and stay thin; `petl notebook` makes pages of them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml
from typer.testing import CliRunner

from analysis.notebooks.notebook import FOLDER, PARAMETERS
from petl.cli import app
from petl.config.study import load_study
from petl.runs.synthetic import fabricate

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SIZES = {f"lora-{size}": {"like": "lora", "method": {"reduction": size}} for size in (64, 32)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.yaml, and made-up runs of it for all but one of its tasks."""
    folder = tmp_path_factory.mktemp("notebooks")
    matrix = {"dataset": "esc50", "backbone": "ast", "fold": [0, 1], "seed": 10}
    study = {
        **{"description": "small", "profile": "as-run", "report": "test_last"},
        "matrix": matrix | {"method": ["linear", "lora", *SIZES]},
        **{"methods": SIZES, "set": {"train": {"epochs": 2}}},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(study))
    fabricate(load_study(folder / "small.yaml"), folder / "runs", lambda task: 0.7)
    return folder


def petl(made: Path, *arguments: object):
    words = ["notebook", *arguments, "--runs", made / "runs"]
    return CliRunner().invoke(app, [str(word) for word in words])


def code(file: Path) -> list[str]:
    cells = nbformat.read(file, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_what_is_committed_is_valid_and_has_no_output(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.cell_type != "code" or (cell.outputs, cell.execution_count) == ([], None)
    assert [at for at, cell in enumerate(notebook.cells) if PARAMETERS in str(cell.metadata)] == [1]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebooks_hold_no_code_of_their_own(file: Path) -> None:
    lines = [line for cell in code(file) for line in cell.splitlines() if line.strip()]
    assert len(lines) <= 12
    tree = ast.walk(ast.parse("\n".join(code(file))))
    assert not [node for node in tree if isinstance(node, ast.FunctionDef | ast.ClassDef)]


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [str(value) for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def pages(made: Path) -> dict[str, str]:
    """All at the same time, each a process of its own, as people would make them."""
    command = [sys.executable, "-m", "petl.cli", "notebook"]
    options = ["--study", made / "small.yaml", "--runs", made / "runs"]
    started = {
        name: subprocess.Popen(
            [*command, name, *options, "--out", made / f"{name}.html"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in (file.stem for file in NOTEBOOKS)
    }
    told = {name: process.communicate(timeout=240)[0] for name, process in started.items()}
    assert not any(process.returncode for process in started.values()), told
    assert {name: text for name, text in told.items() if text.count("\n") > 1} == {}
    return {name: (made / f"{name}.html").read_text() for name in started}


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
@pytest.mark.slow
def test_a_notebook_becomes_a_page_that_needs_no_network(file: Path, pages: dict[str, str]) -> None:
    page = pages[file.stem]
    links = Links()
    links.feed(page)
    assert all(link.startswith(("data:image/", "#")) for link in links.found)
    assert not re.search(r"<script|@import|url\(", page)
    assert "Traceback" not in page
    assert page.count("petl-banner") > 0 and "SYNTHETIC" in page
    drawn = {"table1": 3, "ablations": 1, "compare_with_paper": 0, "cost": 1}
    assert page.count("data:image/png") == drawn[file.stem]
    if file.stem == "ablations":
        assert "small has no finished runs in which only the kernel size differs" in page


def test_mistakes_are_one_line_and_nothing_is_replaced(made: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    for arguments, line in (
        (["tabel1"], "did you mean 'table1'?"),
        (["table1", "--study", "tabel1"], "did you mean 'table1'?"),
        (["table1", "--out", mine], "mine.html was not made by petl"),
    ):
        done = petl(made, *arguments)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
        assert line in done.stderr
    assert mine.read_text() == "mine"
